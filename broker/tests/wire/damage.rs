//! Requests that were valid before a few of their bytes were changed: unlike noise, they reach the handlers.
//!
//! The program `fuzz frames` of the crate `tests` does the same with millions of them.

use std::net::Shutdown;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::client::{Client, Fixture};
use crate::coverage;

/// How many damaged requests are made of each valid one.
const COPIES: usize = 4;
/// Bytes of API and version; other APIs are noise enough.
const ROUTE_BYTES: usize = 4;

/// Changes a request.
fn damage(request: &mut Vec<u8>, other: &[u8], chance: &mut StdRng) {
    let at = chance.random_range(ROUTE_BYTES..request.len());
    match chance.random_range(0..6) {
        0 => request[at] ^= 1 << chance.random_range(0..8),
        1 => request[at] = *[0, 1, 0x7f, 0x80, 0xff].choose(chance).expect("some"),
        2 => request.truncate(at),
        3 => request.extend((0..at).map(|_| chance.random::<u8>())),
        4 => {
            let number = [-1, i32::MIN, i32::MAX, chance.random()].choose(chance).expect("some").to_be_bytes();
            request.iter_mut().skip(at).zip(number).for_each(|(byte, new)| *byte = new);
        }
        _ => {
            request.truncate(at);
            request.extend(&other[chance.random_range(0..other.len())..]);
        }
    }
}

/// Goal: no damaged request does harm. Method: requests in every version of every API, as other tests send them, each damaged in
/// several ways from a fixed seed. The broker answers or closes the connection, and another client still gets right answers.
#[test]
fn damaged_requests_of_every_api_do_no_harm() {
    let fixture = Fixture::in_memory();
    let mut client = fixture.connect();
    coverage::exercise(&mut client);
    let (valid, mut chance) = (std::mem::take(&mut client.sent), StdRng::seed_from_u64(1));
    assert!(valid.len() > 500, "{} requests", valid.len());
    client.create_topic("sound", 1);
    for (at, request) in valid.iter().flat_map(|request| std::iter::repeat_n(request, COPIES)).enumerate() {
        let mut request = request.to_vec();
        let other = valid.choose(&mut chance).expect("some");
        damage(&mut request, other, &mut chance);
        send(&fixture, &request);
        if at % 100 == 0 {
            assert_sound(&mut client);
        }
    }
    assert_sound(&mut client);
}

fn send(fixture: &Fixture, request: &[u8]) {
    let mut client = fixture.connect();
    client.send_frame(request);
    // Ends requests that wait for something.
    let _ = client.stream.shutdown(Shutdown::Write);
    let _ = client.receive_frame();
}

fn assert_sound(client: &mut Client) {
    let offset = client.produce_some(("sound", 0), 1);
    let read = client.fetch(11, ("sound", 0), offset, false);
    assert_eq!((read.error_code, read.high_watermark), (0, offset + 1));
    assert!(read.records.is_some_and(|records| !records.is_empty()));
}
