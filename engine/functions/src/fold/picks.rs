//! One value for each group that is chosen among the values of its rows, such as the smallest. A value is only copied when
//! all rows have been read; until then it is known by its place.

use arrow::array::UInt32Array;

use super::Rows;

/// The places of the values of groups. The value in a group's state has the place of the group; those of rows follow.
pub struct Picks {
    /// The place of each group's value.
    pub groups: UInt32Array,
    /// The place of the value of each row's group after that row, if it was requested.
    pub running: Option<UInt32Array>,
}

/// Chooses a value for each of the groups. `replaces` says whether the value at the first place, which is that of a row,
/// replaces the one at the second.
pub fn pick(groups: usize, rows: &Rows<'_>, running: bool, replaces: impl Fn(usize, usize) -> bool) -> Picks {
    let mut picked: Vec<u32> = (0..groups as u32).collect();
    let mut after = Vec::with_capacity(if running { rows.groups.len() } else { 0 });
    for (place, group) in (groups as u32..).zip(rows.groups) {
        let picked = &mut picked[*group as usize];
        if replaces(place as usize, *picked as usize) {
            *picked = place;
        }
        if running {
            after.push(*picked);
        }
    }
    Picks { groups: picked.into(), running: running.then(|| after.into()) }
}
