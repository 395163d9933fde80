//! The TLS side of a connection: OpenSSL, which is in the program for librdkafka anyway.
//!
//! Separate because it reads files and has errors of its own.

use std::io::ErrorKind;
use std::path::Path;

use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{SslConnector, SslConnectorBuilder, SslMethod, SslVersion};

use crate::error::SettingsError;
use crate::settings::{CA, CERTIFICATE, KEY, KEY_PASSWORD, Secret, TlsFiles};

/// Where systems keep the certificates of authorities. A statically linked OpenSSL does not know.
const SYSTEM_AUTHORITIES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// What OpenSSL says of files without a certificate.
const NO_CERTIFICATE: [&str; 2] = ["no certificate or crl found", "no start line"];

/// What makes the TLS side of connections.
pub(crate) fn connector(files: &TlsFiles) -> Result<SslConnector, SettingsError> {
    let fault = |error| SettingsError::new(CA, format!("could not set up TLS: {error}"));
    let mut builder = SslConnector::builder(SslMethod::tls_client()).map_err(fault)?;
    builder.set_min_proto_version(Some(SslVersion::TLS1_2)).map_err(fault)?;
    match &files.authorities {
        Some(path) => {
            must_be_file(CA, path)?;
            builder.set_ca_file(path).map_err(|error| without_certificate(CA, path, &error))?;
        }
        None => trust_system(&mut builder),
    }
    if let Some(certificate) = &files.certificate {
        show(&mut builder, certificate, files)?;
    }
    Ok(builder.build())
}

/// The authorities that `SSL_CERT_FILE` and the system name. Without any, no certificate is accepted, which the
/// handshake reports.
fn trust_system(builder: &mut SslConnectorBuilder) {
    let _ = builder.set_default_verify_paths();
    for path in SYSTEM_AUTHORITIES {
        if builder.set_ca_file(path).is_ok() {
            return;
        }
    }
}

/// Has the client show its certificate.
fn show(builder: &mut SslConnectorBuilder, certificate: &Path, files: &TlsFiles) -> Result<(), SettingsError> {
    must_be_file(CERTIFICATE, certificate)?;
    let chain = builder.set_certificate_chain_file(certificate);
    chain.map_err(|error| without_certificate(CERTIFICATE, certificate, &error))?;
    let path = files.key.as_deref().unwrap_or(certificate);
    let key = read_key(path, files.key_password.as_ref().map(Secret::text), files.key.is_some())?;
    // This compares it with the certificate, too.
    let is_used = builder.set_private_key(&key).and_then(|()| builder.check_private_key());
    is_used.map_err(|_| SettingsError::new(KEY, format!("{} is not the key of the certificate", path.display())))
}

fn read_key(path: &Path, password: Option<&str>, is_given: bool) -> Result<PKey<Private>, SettingsError> {
    let pem = std::fs::read(path).map_err(|error| unreadable(KEY, path, &error))?;
    let mut is_encrypted = false;
    // Without a password, OpenSSL would ask for one on the terminal.
    let key = PKey::private_key_from_pem_callback(&pem, |buffer| {
        is_encrypted = true;
        let password = password.unwrap_or_default().as_bytes();
        // One that is too long for OpenSSL is not the right one.
        let Some(space) = buffer.get_mut(..password.len()) else { return Ok(0) };
        space.copy_from_slice(password);
        Ok(password.len())
    });
    let file = path.display();
    key.map_err(|_| match (is_encrypted, password) {
        (false, _) if !is_given => SettingsError::new(KEY, format!("is needed: there is no private key in {file}")),
        (false, _) => SettingsError::new(KEY, format!("could not read a private key from {file}")),
        (true, None) => SettingsError::new(KEY_PASSWORD, format!("is needed for the key in {file}")),
        (true, Some(_)) => SettingsError::new(KEY_PASSWORD, format!("could not decrypt the key in {file}")),
    })
}

/// Looks for a file that OpenSSL reads, whose own words for a missing one are not plain. It is not opened: what is in a
/// pipe can be read once.
fn must_be_file(setting: &str, path: &Path) -> Result<(), SettingsError> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => {
            Err(SettingsError::new(setting, format!("{} is a folder, not a file", path.display())))
        }
        Ok(_) => Ok(()),
        Err(error) => Err(unreadable(setting, path, &error)),
    }
}

/// The error of a file in which OpenSSL found no certificate, or that it could not read.
fn without_certificate(setting: &str, path: &Path, error: &ErrorStack) -> SettingsError {
    let has_none = error.errors().iter().any(|error| NO_CERTIFICATE.contains(&error.reason().unwrap_or_default()));
    match has_none {
        true => SettingsError::new(setting, format!("there is no certificate in {}", path.display())),
        false => unusable(setting, path, error),
    }
}

fn unreadable(setting: &str, path: &Path, error: &std::io::Error) -> SettingsError {
    match error.kind() {
        ErrorKind::NotFound => SettingsError::new(setting, format!("the file {} does not exist", path.display())),
        _ => unusable(setting, path, error),
    }
}

fn unusable(setting: &str, path: &Path, error: &dyn std::fmt::Display) -> SettingsError {
    SettingsError::new(setting, format!("could not use {}: {error}", path.display()))
}
