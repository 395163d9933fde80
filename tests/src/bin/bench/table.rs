//! The table of figures that a benchmark prints: min, median and max of each, and its target.

use std::fmt;

/// The target of a figure, with which its median is compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// At least this value.
    AtLeast(f64),
    /// Less than this value.
    Below(f64),
}

impl Target {
    fn met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::Below(limit) => value < limit,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(least) => write!(f, ">= {least}"),
            Self::Below(limit) => write!(f, "< {limit}"),
        }
    }
}

/// Figures with their names, in the order they were added.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    name: String,
    values: Vec<f64>,
    digits: usize,
    target: Option<Target>,
}

impl Table {
    /// Adds a figure with one value for each run, shown with the given number of decimal places.
    pub fn add(&mut self, name: &str, digits: usize, values: Vec<f64>, target: Option<Target>) {
        assert!(!values.is_empty(), "{name} was measured at least once");
        self.rows.push(Row { name: name.to_owned(), values, digits, target });
    }

    /// Prints the figures below a line, and whether every target is met.
    pub fn print(&self, above: &str) {
        println!("{above}\n{self}");
        match self.missed() {
            missed if missed.is_empty() => println!("every target is met"),
            missed => println!("missed: {}", missed.join("; ")),
        }
    }

    /// The names of the figures whose median misses the target.
    pub fn missed(&self) -> Vec<&str> {
        let missed = |row: &&Row| row.target.is_some_and(|target| !target.met(row.median()));
        self.rows.iter().filter(missed).map(|row| row.name.as_str()).collect()
    }
}

impl Row {
    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }

    /// The middle value; for an even number of values, the lower of the two middle ones.
    fn median(&self) -> f64 {
        self.sorted()[(self.values.len() - 1) / 2]
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
        writeln!(f, "{:width$} | {:>11} | {:>11} | {:>11} | {:>8} |", "figure", "min", "median", "max", "target")?;
        for row in &self.rows {
            let (sorted, digits) = (row.sorted(), row.digits);
            let (min, median, max) = (sorted[0], row.median(), sorted[sorted.len() - 1]);
            let target = row.target.map(|target| target.to_string()).unwrap_or_default();
            let verdict = row.target.map_or("", |target| if target.met(median) { "met" } else { "missed" });
            let name = &row.name;
            writeln!(
                f,
                "{name:width$} | {min:>11.digits$} | {median:>11.digits$} | {max:>11.digits$} | {target:>8} | {verdict}"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_is_compared_with_the_target() {
        let mut table = Table::default();
        table.add("ratio", 2, vec![0.9, 0.7, 0.85], Some(Target::AtLeast(0.8)));
        table.add("memory", 0, vec![600.0, 500.0, 700.0], Some(Target::Below(512.0)));
        assert_eq!(table.missed(), ["memory"]);
        let shown = table.to_string();
        assert!(shown.contains("ratio  |        0.70 |        0.85 |        0.90 |   >= 0.8 | met"), "{shown}");
        assert!(shown.contains("memory |         500 |         600 |         700 |    < 512 | missed"), "{shown}");
    }
}
