//! Every supported version of every API has a test.

use std::collections::BTreeSet;

use kafka_protocol::messages::ApiVersionsRequest;

use crate::client::{Client, Fixture};
use crate::{absent, admin, consumer_groups, groups, records, transactions};

/// Versions of Produce that are only advertised, so that old versions of librdkafka compress.
const SAID_ONLY: [(i16, i16); 3] = [(0, 0), (0, 1), (0, 2)];

pub fn offered(client: &mut Client) -> BTreeSet<(i16, i16)> {
    let answer = client.call(0, &ApiVersionsRequest::default());
    assert_eq!(answer.error_code, 0);
    answer
        .api_keys
        .iter()
        .flat_map(|api| (api.min_version..=api.max_version).map(|version| (api.api_key, version)))
        .collect()
}

/// Calls every version of every API.
pub fn exercise(client: &mut Client) {
    let families = [
        absent::exercise,
        admin::exercise,
        records::exercise,
        groups::exercise,
        consumer_groups::exercise,
        transactions::exercise,
    ];
    for exercise in families {
        exercise(client);
    }
}

/// Goal: every version of every API returns the right response. Method: call each family in all of its versions, and
/// compare what was called with what is advertised.
#[test]
fn every_version_of_every_api_is_answered() {
    let fixture = Fixture::in_memory();
    let mut client = fixture.connect();
    exercise(&mut client);
    let offered = offered(&mut client);
    let said_only = BTreeSet::from(SAID_ONLY);
    let missing: Vec<_> = offered.difference(&client.called).filter(|call| !said_only.contains(call)).collect();
    assert!(missing.is_empty(), "not called: {missing:?}");
    let unoffered: Vec<_> = client.called.difference(&offered).collect();
    assert!(unoffered.is_empty(), "called without being offered: {unoffered:?}");
}
