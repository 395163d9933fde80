//! Rows as JSON, one object per line, in the same form as `COPY … TO 'file.json'`.

use std::io::{self, Write};

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use headwater_engine::row_text::json::JsonLines;

use super::RowWriter;

/// Writes rows as JSON lines.
#[derive(Default)]
pub struct Json {
    lines: JsonLines,
}

impl RowWriter for Json {
    fn begin(&mut self, schema: &Schema, _out: &mut dyn Write) -> io::Result<()> {
        self.lines = JsonLines::new(schema);
        Ok(())
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
    fn every_type_is_json() {
        let text = sample::written(Output::Json, &[sample::every_type()]);
        let expected = concat!(
            r#"{"B":true,"I":-7,"L":9007199254740993,"D":1.5,"P":12.340,"S":"a \"b\"\n\\","Y":"AQL/","DA":"2020-05-12","#,
            r#""TI":"21:00:00","TS":"2020-05-12T21:00:00.000","A":[1,null,3],"M":{"k":1},"R":{"F0":1,"F1":"x"}}"#,
            "\n",
            r#"{"B":null,"I":null,"L":null,"D":null,"P":null,"S":null,"Y":null,"DA":null,"TI":null,"TS":null,"#,
            r#""A":null,"M":null,"R":null}"#,
            "\n",
        );
        assert_eq!(text, expected);
        for line in text.lines() {
            serde_json::from_str::<serde_json::Value>(line).expect("each line is an object");
        }
    }

    #[test]
    fn doubles_without_a_number_are_text() {
        let batch = sample::doubles(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -0.0, 1e-7]);
        let text = sample::written(Output::Json, &[batch]);
        let values: Vec<&str> = text.lines().map(|line| &line[5..line.len() - 1]).collect();
        assert_eq!(values, ["\"NaN\"", "\"Infinity\"", "\"-Infinity\"", "1.0E300", "-0.0", "1.0E-7"]);
    }
}
