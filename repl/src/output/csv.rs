//! Rows as CSV, in the same form as `COPY … TO 'file.csv'`.

use std::io::{self, Write};

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use headwater_engine::row_text::csv::CsvLines;

use super::RowWriter;

/// Writes rows as CSV.
#[derive(Default)]
pub struct Csv {
    lines: CsvLines,
}

impl RowWriter for Csv {
    fn begin(&mut self, schema: &Schema, out: &mut dyn Write) -> io::Result<()> {
        self.lines.header(schema, out)
    }

    fn batch(&mut self, batch: &RecordBatch, out: &mut dyn Write) -> io::Result<()> {
        self.lines.write(batch, out)
    }

    fn end(&mut self, _out: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use crate::output::Output;

    #[test]
    fn every_type_is_csv() {
        let text = sample::written(Output::Csv, &[sample::every_type()]);
        let expected = concat!(
            "B,I,L,D,P,S,Y,DA,TI,TS,A,M,R\n",
            "true,-7,9007199254740993,1.5,12.340,\"a \"\"b\"\"\n\\\",AQL/,2020-05-12,21:00:00,",
            "2020-05-12T21:00:00.000,\"[1, null, 3]\",{k=1},\"{F0=1, F1=x}\"\n",
            ",,,,,,,,,,,,\n",
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn nulls_and_empty_text_differ() {
        let text = sample::written(Output::Csv, &[sample::strings("a,b", &[Some(""), None, Some("x,y"), Some("é")])]);
        assert_eq!(text, "\"a,b\"\n\"\"\n\n\"x,y\"\né\n");
    }
}
