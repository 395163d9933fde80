//! Checks that every store passes. Each check takes a function that creates an empty store.

use std::collections::{BTreeMap, VecDeque};

use arrow::array::{Array, BinaryArray};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::store::{Changes, Store};
use super::view::Snapshot;

type Make = fn() -> Box<dyn Store>;

/// Runs all checks.
pub(crate) fn holds(make: Make) {
    a_removed_window_leaves_the_others(make);
    a_visit_finds_each_key(make);
    values_are_those_put_last(make);
    changes_are_in_order_and_each_key_comes_once(make);
    a_batch_that_was_read_is_put_later(make);
    a_key_that_is_as_it_was_is_no_change(make);
    sealing_ends_an_epoch(make);
    an_expired_window_is_gone_once_its_changes_are_sealed(make);
    records_restore_what_was_sealed(make);
    keys_that_are_no_record_keys_are_refused(make);
    readers_see_what_is_committed(make);
    a_snapshot_stays_as_it_is(make);
    random_operations_agree_with_a_model(make);
}

fn column(values: &[Option<&str>]) -> BinaryArray {
    values.iter().map(|value| value.map(str::as_bytes)).collect()
}

fn put(store: &mut dyn Store, window: i64, pairs: &[(&str, Option<&str>)]) {
    let keys: Vec<_> = pairs.iter().map(|(key, _)| Some(*key)).collect();
    let values: Vec<_> = pairs.iter().map(|(_, value)| *value).collect();
    store.put(window, &column(&keys), &column(&values));
}

/// Commits the oldest sealed epoch, as a task does.
pub(crate) fn commit(store: &mut dyn Store) {
    store.commit();
    store.settle();
}

fn get(store: &dyn Store, window: i64, keys: &[&str]) -> Vec<Option<String>> {
    let keys: Vec<_> = keys.iter().map(|key| Some(*key)).collect();
    let values = store.get(window, &column(&keys)).expect("the values fit");
    values.iter().map(|value| value.map(text)).collect()
}

/// Each change as `window key before→value`, with `-` for none.
fn show(changes: &Changes) -> Vec<String> {
    let value = |values: &BinaryArray, row| if values.is_null(row) { "-".to_owned() } else { text(values.value(row)) };
    let row = |row| {
        let (before, now) = (value(&changes.before, row), value(&changes.values, row));
        format!("{} {} {before}→{now}", changes.windows.value(row), text(changes.keys.value(row)))
    };
    (0..changes.keys.len()).map(row).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn values_are_those_put_last(make: Make) {
    let mut store = make();
    assert_eq!(get(&*store, 0, &["a"]), [None]);
    put(&mut *store, 0, &[("a", Some("1")), ("", Some("empty key")), ("b", Some(""))]);
    put(&mut *store, 10, &[("a", Some("another window"))]);
    put(&mut *store, 0, &[("a", Some("longer than before")), ("c", None)]);
    let found = get(&*store, 0, &["b", "a", "c", "", "a"]).into_iter().map(|value| value.unwrap_or("-".into()));
    assert_eq!(found.collect::<Vec<_>>(), ["", "longer than before", "-", "empty key", "longer than before"]);
    assert_eq!((store.len(), store.is_empty()), (4, false));
    put(&mut *store, 0, &[("a", None), ("", None), ("b", None)]);
    put(&mut *store, 10, &[("a", None)]);
    assert_eq!((store.len(), store.is_empty()), (0, true));
    assert_eq!(get(&*store, 0, &["a", "", "b"]), [None, None, None]);
}

fn changes_are_in_order_and_each_key_comes_once(make: Make) {
    let mut store = make();
    put(&mut *store, 0, &[("b", Some("1")), ("ab", Some("1")), ("a", Some("1")), ("\u{e9}", Some("1"))]);
    put(&mut *store, -10, &[("z", Some("1"))]);
    put(&mut *store, 0, &[("b", Some("2"))]);
    let expected = ["-10 z -→1", "0 a -→1", "0 ab -→1", "0 b -→2", "0 \u{e9} -→1"];
    let changes = store.changes().expect("they fit");
    assert_eq!(show(&changes), expected);
    assert_eq!(store.changes().expect("they fit"), changes, "asking changes nothing");
}

fn a_key_that_is_as_it_was_is_no_change(make: Make) {
    let mut store = make();
    put(&mut *store, 0, &[("a", Some("1")), ("b", Some("1")), ("c", Some("1"))]);
    store.seal().expect("they fit");
    put(&mut *store, 0, &[("a", Some("2")), ("b", None), ("new", Some("1")), ("c", Some("3"))]);
    put(&mut *store, 0, &[("a", Some("1")), ("b", Some("1")), ("new", None), ("c", Some("4"))]);
    assert_eq!(show(&store.seal().expect("they fit")), ["0 c 1→4"]);
    assert_eq!(get(&*store, 0, &["a", "b", "new"]), [Some("1".into()), Some("1".into()), None]);
}

/// Goal: a key has changed since the last seal, not since it was read. Method: what was read is put after a seal, after its window was
/// removed, and after other values.
fn a_batch_that_was_read_is_put_later(make: Make) {
    let keys = column(&[Some("a"), Some("b")]);
    let between: [fn(&mut dyn Store); 3] = [
        |store| drop(store.seal().expect("they fit")),
        |store| store.remove_window(10),
        |store| put(store, 10, &[("a", Some("x")), ("b", None)]),
    ];
    for (between, expected) in between.into_iter().zip([["a 2→9", "b -→9"], ["a 1→9", "b -→9"], ["a 1→9", "b -→9"]])
    {
        let mut store = make();
        put(&mut *store, 10, &[("a", Some("1"))]);
        store.seal().expect("they fit");
        commit(&mut *store);
        put(&mut *store, 10, &[("a", Some("2"))]);
        store.get(10, &keys).expect("they fit");
        between(&mut *store);
        store.put(10, &keys, &column(&[Some("9"), Some("9")]));
        let shown = show(&store.changes().expect("they fit"));
        assert_eq!(shown, expected.map(|change| format!("10 {change}")));
    }
}

fn sealing_ends_an_epoch(make: Make) {
    let mut store = make();
    put(&mut *store, 0, &[("a", Some("1")), ("b", Some("1"))]);
    assert_eq!(show(&store.seal().expect("they fit")), ["0 a -→1", "0 b -→1"]);
    assert_eq!(show(&store.seal().expect("they fit")), [""; 0]);
    put(&mut *store, 0, &[("a", Some("22")), ("b", None), ("c", Some("1"))]);
    put(&mut *store, 0, &[("a", Some("333"))]);
    assert_eq!(show(&store.seal().expect("they fit")), ["0 a 1→333", "0 b 1→-", "0 c -→1"]);
    put(&mut *store, 0, &[("b", Some("2"))]);
    assert_eq!(show(&store.changes().expect("they fit")), ["0 b -→2"]);
}

fn an_expired_window_is_gone_once_its_changes_are_sealed(make: Make) {
    let mut store = make();
    for window in [0, 10, 20] {
        put(&mut *store, window, &[("a", Some("1")), ("b", Some("1"))]);
    }
    assert!(!store.has_expired());
    store.expire(10);
    let expected = ["0 a -→1", "0 b -→1", "10 a -→1", "10 b -→1", "20 a -→1", "20 b -→1"];
    assert_eq!(show(&store.changes().expect("they fit")), expected, "what changed in them still comes out");
    let expected = ["10 a -→1", "10 b -→1", "20 a -→1", "20 b -→1"];
    assert_eq!(show(&store.seal().expect("they fit")), expected, "keys that came and went are in no changelog");
    assert_eq!((store.len(), store.has_expired()), (4, true));
    assert_eq!(get(&*store, 0, &["a"]), [None]);
    assert_eq!(get(&*store, 20, &["a"]), [Some("1".into())]);
    put(&mut *store, 20, &[("a", Some("2")), ("c", Some("2"))]);
    store.expire(21);
    assert_eq!(show(&store.changes().expect("they fit")), ["20 a 1→2", "20 c -→2"], "that they are gone is no change");
    let expected = ["10 a 1→-", "10 b 1→-", "20 a 1→-", "20 b 1→-"];
    assert_eq!(show(&store.seal().expect("they fit")), expected, "their keys leave the changelog");
    assert!(store.is_empty());
    assert_eq!(show(&store.seal().expect("they fit")), [""; 0], "they left it once");
}

fn a_removed_window_leaves_the_others(make: Make) {
    let mut store = make();
    for window in [0, 10, 20] {
        put(&mut *store, window, &[("a", Some("1")), ("b", Some("1"))]);
    }
    store.seal().expect("they fit");
    put(&mut *store, 20, &[("a", Some("2")), ("c", Some("2"))]);
    for window in [10, 20, 30] {
        store.remove_window(window);
    }
    let expected = ["10 a 1→-", "10 b 1→-", "20 a 1→-", "20 b 1→-"];
    assert_eq!(show(&store.seal().expect("they fit")), expected, "their keys leave the changelog");
    assert_eq!((store.len(), get(&*store, 10, &["a"])), (2, vec![None]));
    put(&mut *store, 20, &[("a", Some("3"))]);
    assert_eq!(show(&store.seal().expect("they fit")), ["20 a -→3"]);
    (0..3).for_each(|_| commit(&mut *store));
    assert_eq!(store.len(), 3);
}

fn a_visit_finds_each_key(make: Make) {
    let mut store = make();
    put(&mut *store, 5, &[("a", Some("1")), ("b", Some("2")), ("c", None), ("d", Some("3"))]);
    store.seal().expect("they fit");
    commit(&mut *store);
    put(&mut *store, 5, &[("b", None), ("d", Some("4"))]);
    store.seal().expect("they fit");
    put(&mut *store, 5, &[("e", Some("5")), ("a", Some("6"))]);
    put(&mut *store, 6, &[("f", Some("7"))]);
    let mut found = Vec::new();
    store.visit(5, &mut |key, value| found.push(format!("{}={}", text(key), text(value))));
    found.sort();
    assert_eq!(found, ["a=6", "d=4", "e=5"]);
    store.visit(7, &mut |_, _| panic!("there is no such window"));
}

fn records_restore_what_was_sealed(make: Make) {
    let (mut one, mut other) = (make(), make());
    put(&mut *one, -5, &[("a", Some("1")), ("b", Some("1"))]);
    put(&mut *one, 7, &[("a", Some("2")), ("c", Some(""))]);
    let first = one.seal().expect("they fit");
    put(&mut *one, 7, &[("a", None), ("d", Some("4"))]);
    let second = one.seal().expect("they fit");
    assert_eq!(first.record_keys().value(2), b"a\0\0\0\0\0\0\0\x07");
    for changes in [&first, &second, &second] {
        other.restore(&changes.record_keys(), &changes.values).expect("these are record keys");
    }
    assert_eq!(show(&other.changes().expect("they fit")), [""; 0], "restored records are no changes");
    assert_eq!(other.len(), one.len());
    for (window, key) in [(-5, "a"), (-5, "b"), (7, "a"), (7, "c"), (7, "d")] {
        assert_eq!(get(&*other, window, &[key]), get(&*one, window, &[key]), "{window} {key}");
    }
    put(&mut *other, 7, &[("d", Some("5")), ("a", Some("6"))]);
    assert_eq!(show(&other.changes().expect("they fit")), ["7 a -→6", "7 d 4→5"]);
}

fn keys_that_are_no_record_keys_are_refused(make: Make) {
    for (key, bytes) in [(Some("1234567"), "7 bytes"), (None, "no bytes")] {
        let mut store = make();
        let keys = column(&[Some("k12345678"), key]);
        let error = store.restore(&keys, &column(&[Some("1"), Some("2")])).expect_err("the second is too short");
        let expected = format!("the key of changelog record 1 has {bytes}, expected a key and the 8 bytes");
        assert!(error.to_string().contains(&expected), "{error}");
    }
}

/// Everything in a snapshot, as `window key=value`, read in small batches.
fn scanned(snapshot: &Snapshot) -> Vec<String> {
    let mut rows = Vec::new();
    for batch in snapshot.scan(.., 3) {
        let batch = batch.expect("a few bytes");
        assert!((1..=3).contains(&batch.keys.len()), "a batch has as many keys as were asked for");
        let each = batch.windows.values().iter().zip(batch.keys.iter().zip(&batch.values));
        rows.extend(each.map(|(window, (key, value))| {
            format!("{window} {}={}", text(key.expect("a key")), text(value.expect("a value")))
        }));
    }
    assert_eq!(snapshot.windows().map(|(_, keys)| keys).sum::<usize>(), rows.len());
    assert_eq!((snapshot.len(), snapshot.is_empty()), (rows.len(), rows.is_empty()));
    rows.sort();
    rows
}

fn readers_see_what_is_committed(make: Make) {
    let mut store = make();
    let view = store.view();
    let records = column(&[Some("r\0\0\0\0\0\0\0\0")]);
    store.restore(&records, &column(&[Some("0")])).expect("a record key");
    assert_eq!(scanned(&view.snapshot()), ["0 r=0"], "what was restored");
    put(&mut *store, 0, &[("a", Some("1")), ("r", None)]);
    put(&mut *store, 10, &[("b", Some("1"))]);
    commit(&mut *store);
    assert_eq!(scanned(&view.snapshot()), ["0 r=0"], "no epoch is sealed");
    store.seal().expect("they fit");
    put(&mut *store, 0, &[("a", Some("2"))]);
    put(&mut *store, 10, &[("b", None)]);
    store.expire(10);
    store.seal().expect("they fit");
    assert_eq!(scanned(&view.snapshot()), ["0 r=0"], "no commit is done");
    assert_eq!((get(&*store, 0, &["a"]), get(&*store, 10, &["b"]), store.len()), (vec![None], vec![None], 0));
    commit(&mut *store);
    assert_eq!(scanned(&view.snapshot()), ["0 a=1", "10 b=1"], "the first of two");
    assert!(store.has_expired() && !view.snapshot().has_expired());
    assert_eq!(view.snapshot().windows().collect::<Vec<_>>(), [(0, 1), (10, 1)]);
    commit(&mut *store);
    assert_eq!(scanned(&view.snapshot()), [""; 0], "the window has expired, and the key was removed");
    assert_eq!((view.snapshot().has_expired(), view.snapshot().kept_from()), (true, 10));
    assert!(store.is_empty());
}

fn a_snapshot_stays_as_it_is(make: Make) {
    let mut store = make();
    let pairs: Vec<_> = (0..20_000).map(|key| (key.to_string(), "before".to_owned())).collect();
    let mut set = |from: usize, to: usize, value: &str| {
        let pairs: Vec<_> = pairs[from..to].iter().map(|(key, _)| (key.as_str(), Some(value))).collect();
        put(&mut *store, 0, &pairs);
        store.seal().expect("they fit");
        commit(&mut *store);
        store.view().snapshot()
    };
    let (one, all, changed) = (set(0, 1, "one"), set(0, 20_000, "all"), set(100, 200, "changed"));
    let value = |snapshot: &Snapshot, key| {
        let value = snapshot.get(0, &column(&[Some(key)])).expect("a few bytes");
        value.is_valid(0).then(|| text(value.value(0)))
    };
    let seen = |key| [&one, &all, &changed].map(|snapshot| value(snapshot, key).unwrap_or("-".to_owned()));
    assert_eq!([one.len(), all.len(), changed.len()], [1, 20_000, 20_000]);
    assert_eq!(
        [seen("0"), seen("100"), seen("19999"), seen("x")],
        [
            ["one", "all", "all"].map(str::to_owned),
            ["-", "all", "changed"].map(str::to_owned),
            ["-", "all", "all"].map(str::to_owned),
            ["-"; 3].map(str::to_owned),
        ]
    );
    assert_eq!(scanned(&all).len(), 20_000);
}

type Model = BTreeMap<(i64, Vec<u8>), Vec<u8>>;

/// The differences between two states, in order.
fn difference(before: &Model, now: &Model) -> Vec<String> {
    let keys: std::collections::BTreeSet<_> = before.keys().chain(now.keys()).collect();
    let shown = |value: Option<&Vec<u8>>| value.map_or("-".into(), |value| text(value));
    let changed = keys.into_iter().filter(|key| before.get(key) != now.get(key));
    changed.map(|k| format!("{} {} {}→{}", k.0, text(&k.1), shown(before.get(k)), shown(now.get(k)))).collect()
}

/// Everything in a model, as [`scanned`] shows it.
fn listed(model: &Model) -> Vec<String> {
    let mut rows: Vec<_> = model.iter().map(|((w, key), value)| format!("{w} {}={}", text(key), text(value))).collect();
    rows.sort();
    rows
}

/// Goal: a store behaves like a map, knows its changes, and shows readers exactly its commits. Method: random operations from
/// each seed, on the store and on a `BTreeMap`; sealed changes are also restored to another store, which must have the same keys
/// in the end; snapshots are kept while the store changes.
fn random_operations_agree_with_a_model(make: Make) {
    for seed in 0..200 {
        let mut rng = StdRng::seed_from_u64(seed);
        let (mut store, mut restored) = (make(), make());
        let (mut now, mut sealed) = (Model::new(), Model::new());
        let (mut committing, mut committed) = (VecDeque::new(), Model::new());
        let (view, mut snapshots) = (store.view(), Vec::new());
        let (mut open, mut asked) = (0, VecDeque::from([BinaryArray::new_null(0)]));
        for step in 0..60 {
            let at = format!("seed {seed}, step {step}");
            let window = (open + rng.random_range(0..4)) * 10;
            match rng.random_range(0..12) {
                10 => {
                    commit(&mut *store);
                    committed = committing.pop_front().unwrap_or(committed);
                }
                11 => {
                    snapshots.push((view.snapshot(), listed(&committed)));
                }
                0 => {
                    assert_eq!(show(&store.changes().expect("they fit")), difference(&sealed, &now), "{at}");
                    let changes = store.seal().expect("they fit");
                    now.retain(|(window, _), _| *window >= open * 10);
                    assert_eq!(show(&changes), difference(&sealed, &now), "{at}");
                    restored.restore(&changes.record_keys(), &changes.values).expect("these are record keys");
                    sealed = now.clone();
                    committing.push_back(now.clone());
                    assert_eq!(store.len(), now.len(), "{at}");
                }
                1 => {
                    open += rng.random_range(0..2);
                    // The model drops them all with the next seal: those without changes show nothing until then.
                    store.expire(open * 10);
                }
                2..5 => {
                    let keys = random_keys(&mut rng);
                    asked.push_front(BinaryArray::from_iter_values(&keys));
                    asked.truncate(3);
                    let found = store.get(window, &asked[0]).expect("they fit");
                    let expected: Vec<_> = keys.iter().map(|key| now.get(&(window, key.clone()))).collect();
                    assert_eq!(found, BinaryArray::from_iter(expected), "{at}");
                }
                _ => {
                    // Operators put what they have read, in the same memory.
                    let other = BinaryArray::from_iter_values(random_keys(&mut rng));
                    let keys = asked.get(rng.random_range(0..5)).unwrap_or(&other);
                    let values: Vec<_> = (0..keys.len()).map(|_| random_value(&mut rng)).collect();
                    store.put(window, keys, &BinaryArray::from_iter(&values));
                    for (key, value) in keys.iter().flatten().map(<[u8]>::to_vec).zip(values) {
                        match value {
                            Some(value) => drop(now.insert((window, key), value)),
                            None => drop(now.remove(&(window, key))),
                        }
                    }
                }
            }
        }
        restored.expire(open * 10);
        store.seal().expect("they fit");
        sealed.retain(|(window, _), _| *window >= open * 10);
        assert_eq!(restored.len(), sealed.len(), "seed {seed}");
        for (snapshot, expected) in snapshots {
            assert_eq!(scanned(&snapshot), expected, "seed {seed}");
        }
    }
}

/// Some keys, each once.
fn random_keys(rng: &mut StdRng) -> Vec<Vec<u8>> {
    let keys = (0..rng.random_range(0..8)).map(|_| format!("{}", rng.random_range(0..15)).into_bytes());
    keys.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}

fn random_value(rng: &mut StdRng) -> Option<Vec<u8>> {
    rng.random_bool(0.7).then(|| vec![b'0' + rng.random_range(0..3); rng.random_range(0..4)])
}
