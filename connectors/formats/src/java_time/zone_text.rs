//! The common names of zones, in both directions: `PDT` from a region and an instant, and a region from `PDT`.

use std::collections::HashMap;
use std::sync::OnceLock;

use chrono_tz::{TZ_VARIANTS, Tz};

use super::zone::{Zone, region};
use super::zone_names::{ZONE_NAMES, ZONE_TEXTS};

/// The kind of a region's name.
#[derive(Clone, Copy)]
pub(super) struct Call {
    pub(super) full: bool,
    pub(super) generic: bool,
}

/// No name of a zone is longer, in bytes.
const NAME_LENGTH_MAX: usize = 64;

/// The name of the zone at an instant (seconds since 1970 UTC); none if it has no common name.
pub(super) fn name_at(zone: Zone, utc_s: i64, call: Call) -> Option<&'static str> {
    let names = names_of(zone.as_region()?)?;
    let index = match (call.generic, call.full) {
        (true, full) => 4 + usize::from(full),
        (false, full) => 2 * usize::from(full) + usize::from(zone.is_summer_at(utc_s)),
    };
    Some(names[index])
}

fn names_of(region: Tz) -> Option<&'static [&'static str; 6]> {
    static NAMES: OnceLock<HashMap<&str, &[&str; 6]>> = OnceLock::new();
    let by_region = || {
        let rows = ZONE_NAMES.iter();
        rows.flat_map(|(names, regions)| regions.split(' ').map(move |region| (region, names))).collect()
    };
    NAMES.get_or_init(by_region).get(region.name()).copied()
}

/// The longest name or region that the text starts with, as a zone, and its length in bytes.
pub(super) fn find(text: &str, full: bool, ignore_case: bool) -> Option<(Zone, usize)> {
    let zones = if full { full_names() } else { short_names() };
    longest(text, ignore_case, zones)
}

/// The longest region's name that the text starts with, and its length in bytes.
pub(super) fn find_region(text: &str, ignore_case: bool) -> Option<(Zone, usize)> {
    longest(text, ignore_case, region_names())
}

/// Zones by name, and by the name in lower case.
struct Names {
    exact: HashMap<&'static str, Zone>,
    lower: HashMap<String, Zone>,
}

fn longest(text: &str, ignore_case: bool, names: &Names) -> Option<(Zone, usize)> {
    let lower = ignore_case.then(|| text.chars().take(NAME_LENGTH_MAX).collect::<String>().to_ascii_lowercase());
    let text = lower.as_deref().unwrap_or(text);
    (1..=text.len().min(NAME_LENGTH_MAX)).rev().find_map(|length| {
        let start = text.get(..length)?;
        let zone = if ignore_case { names.lower.get(start) } else { names.exact.get(start) };
        zone.map(|zone| (*zone, length))
    })
}

fn regions() -> impl Iterator<Item = (&'static str, Zone)> {
    TZ_VARIANTS.iter().filter_map(|zone| Some((zone.name(), Zone::from(region(zone.name())?))))
}

fn collect(names: impl Iterator<Item = (&'static str, Zone)>) -> Names {
    let exact: HashMap<_, _> = names.collect();
    let lower = exact.iter().map(|(name, zone)| (name.to_ascii_lowercase(), *zone)).collect();
    Names { exact, lower }
}

fn called(pick: fn(&(&'static str, &'static str, &'static str)) -> &'static str) -> Names {
    let known = ZONE_TEXTS.iter().filter_map(|row| Some((Zone::from(region(row.0)?), pick(row))));
    let names = known.flat_map(|(zone, names)| names.split('|').map(move |name| (name, zone)));
    collect(regions().chain(names.filter(|(name, _)| !name.is_empty())))
}

fn region_names() -> &'static Names {
    static NAMES: OnceLock<Names> = OnceLock::new();
    NAMES.get_or_init(|| collect(regions()))
}

fn short_names() -> &'static Names {
    static NAMES: OnceLock<Names> = OnceLock::new();
    NAMES.get_or_init(|| called(|row| row.1))
}

fn full_names() -> &'static Names {
    static NAMES: OnceLock<Names> = OnceLock::new();
    NAMES.get_or_init(|| called(|row| row.2))
}
