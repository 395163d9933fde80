//! Where the topics are: a cluster elsewhere, or the broker inside this process.

use crate::options::{Options, Place};

/// What is wrong when a cluster cannot be had, in words.
pub type ClusterError = String;

/// A cluster that can be connected to.
#[derive(Debug)]
pub struct Cluster {
    bootstrap: String,
}

impl Cluster {
    /// Finds or starts the cluster of a place.
    pub async fn open(options: &Options) -> Result<Self, ClusterError> {
        match &options.place {
            Place::Cluster(brokers) => Ok(Self { bootstrap: brokers.clone() }),
            Place::Folder(_) | Place::Memory => Err("the broker inside this process is not linked yet".into()),
        }
    }

    /// The address that Kafka clients connect to.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Something the user should know about it.
    pub fn notice(&self) -> Option<String> {
        None
    }

    /// Ends the broker inside this process, if there is one.
    pub async fn close(self) {}
}
