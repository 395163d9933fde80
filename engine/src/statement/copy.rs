//! COPY (SELECT …) TO 'file': writes the rows of a bounded query as Parquet, CSV or JSON lines.
//!
//! The file appears under its name only when it is complete: rows are written to a file next to it, which is renamed at
//! the end and removed if the query fails or is stopped. An existing file keeps its permissions, and a link keeps
//! pointing to the same file.

use std::fs::{File, Permissions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, FieldRef, SchemaRef};
use futures::TryStreamExt;
use headwater_language::diagnostic::{COPY, Diagnostic, Span};
use headwater_language::sql::ast;
use headwater_language::types::type_name;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::{Answered, Context, select};
use crate::answer::{Answer, Rows};
use crate::failure::diagnose;
use crate::row_text::csv::CsvLines;
use crate::row_text::json::JsonLines;

/// Runs the query and writes its rows to the file.
pub(crate) async fn run(copy: &ast::Copy, context: &mut Context<'_>) -> Answered {
    let target = Target::new(copy)?;
    let bounded = select::plan(&copy.query, context).await?;
    context.session.remember(bounded.progress().clone());
    write(bounded.run()?, target, copy.query.span).await
}

/// The file to write and its format.
#[derive(Debug)]
struct Target {
    path: PathBuf,
    format: FileFormat,
    span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FileFormat {
    Parquet,
    Csv,
    Json,
}

impl Target {
    /// Reads the file name and FORMAT. Fails if neither says the format.
    fn new(copy: &ast::Copy) -> Result<Self, Vec<Diagnostic>> {
        let span = copy.path.span;
        let mut said = None;
        for property in &copy.properties {
            match (property.name.to_uppercase().as_str(), &property.value.value) {
                ("FORMAT", ast::Literal::String(format)) => said = Some((format.to_lowercase(), property.value.span)),
                (name, _) => {
                    let message = format!("COPY does not take the property \"{name}\" with this value");
                    return Err(vec![
                        Diagnostic::new(COPY, message)
                            .at(property.name.span)
                            .hint("WITH (FORMAT='parquet'), 'csv' or 'json'"),
                    ]);
                }
            }
        }
        let path = PathBuf::from(&copy.path.value);
        let extension = || path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
        let (name, at) = said.unwrap_or_else(|| (extension(), span));
        let format = match name.as_str() {
            "parquet" => FileFormat::Parquet,
            "csv" => FileFormat::Csv,
            "json" | "ndjson" | "jsonl" => FileFormat::Json,
            _ => {
                let message = format!("unknown file format \"{name}\"");
                let hint = "End the file name in .parquet, .csv or .json, or add WITH (FORMAT='parquet').";
                return Err(vec![Diagnostic::new(COPY, message).at(at).hint(hint)]);
            }
        };
        Ok(Self { path, format, span })
    }
}

/// Refuses columns that the format cannot hold.
fn check_columns(schema: &SchemaRef, target: &Target) -> Result<(), Vec<Diagnostic>> {
    let is_nested = |ty: &DataType| ty.is_nested();
    let nested =
        schema.fields().iter().filter(|field| target.format == FileFormat::Csv && is_nested(field.data_type()));
    let refuse = |field: &FieldRef| {
        let (name, ty) = (field.name(), type_name(field.data_type()));
        let hint = match field.data_type() {
            DataType::List(_) => {
                format!(
                    "Convert it to a string, as with ARRAY_JOIN({name}, ' '), or end the file name in .json or .parquet."
                )
            }
            _ => "Select its fields one by one, or end the file name in .json or .parquet.".to_owned(),
        };
        Diagnostic::new(COPY, format!("CSV cannot hold column \"{name}\", which is {ty}")).at(target.span).hint(hint)
    };
    let errors: Vec<Diagnostic> = nested.map(refuse).collect();
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// Writes all rows and answers with their number. `query` is the span of the query.
async fn write(mut rows: Rows, target: Target, query: Span) -> Answered {
    let failed = |what: &str, error: &dyn std::fmt::Display| {
        let message = format!("could not {what} \"{}\": {error}", target.path.display());
        vec![Diagnostic::new(COPY, message).at(target.span)]
    };
    check_columns(&rows.stream.schema(), &target)?;
    let unfinished = UnfinishedFile::new(&target.path).map_err(|e| failed("create", &e))?;
    let mut writer =
        Writer::new(target.format, unfinished.create().map_err(|e| failed("create", &e))?, rows.stream.schema())
            .map_err(|e| failed("write", &e))?;
    let mut count = 0;
    while let Some(batch) = rows.stream.try_next().await.map_err(|e| diagnose(&e, Some(query)))? {
        count += batch.num_rows();
        writer.write(&batch).map_err(|e| failed("write", &e))?;
    }
    writer.finish().map_err(|e| failed("write", &e))?;
    unfinished.rename().map_err(|e| failed("write", &e))?;
    let rejects = rows.progress.snapshot().rejects;
    let rejected = (rejects > 0).then(|| format!("{rejects} records were rejected; SHOW REJECTS; lists them"));
    let lost = rows.progress.lost().into_iter().map(|lost| format!("incomplete result: {lost}"));
    let warnings = lost.chain(rejected).collect();
    let rows = if count == 1 { "row" } else { "rows" };
    let message = format!("{count} {rows} written to \"{}\"", target.path.display());
    Ok(Answer::Done { message, warnings })
}

/// The unfinished file, which is removed unless it is renamed.
struct UnfinishedFile {
    path: PathBuf,
    /// The final path of the file.
    target: PathBuf,
    /// The permissions of the existing file.
    rights: Option<Permissions>,
}

impl UnfinishedFile {
    fn new(target: &Path) -> std::io::Result<Self> {
        let other = std::io::Error::other;
        // Follow links.
        let target = std::fs::canonicalize(target).unwrap_or_else(|_| target.to_owned());
        let rights = match std::fs::metadata(&target) {
            Ok(found) if found.is_dir() => return Err(other("it is a folder")),
            Ok(found) if !found.is_file() => return Err(other("it is a pipe or a device, not a file")),
            found => found.ok().map(|found| found.permissions()),
        };
        let name = target.file_name().ok_or_else(|| other("it is not a file name"))?;
        let mut unfinished = std::ffi::OsString::from(".");
        unfinished.push(name);
        unfinished.push(format!(".{}.unfinished", uuid::Uuid::new_v4().simple()));
        Ok(Self { path: target.with_file_name(unfinished), target, rights })
    }

    fn create(&self) -> std::io::Result<File> {
        // Never opens a file or a link that someone else has put there.
        let file = File::options().write(true).create_new(true).open(&self.path)?;
        self.rights.iter().try_for_each(|rights| file.set_permissions(rights.clone()))?;
        Ok(file)
    }

    fn rename(self) -> std::io::Result<()> {
        std::fs::rename(&self.path, &self.target)
    }
}

impl Drop for UnfinishedFile {
    fn drop(&mut self) {
        // After a rename there is nothing left to remove.
        let _ = std::fs::remove_file(&self.path);
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

enum Writer {
    Parquet(Box<ArrowWriter<File>>),
    Csv(CsvLines, BufWriter<File>),
    Json(JsonLines, BufWriter<File>),
}

impl Writer {
    fn new(format: FileFormat, file: File, schema: SchemaRef) -> Result<Self, Failure> {
        Ok(match format {
            FileFormat::Parquet => {
                let properties =
                    WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
                Self::Parquet(Box::new(ArrowWriter::try_new(file, schema, Some(properties))?))
            }
            FileFormat::Csv => {
                let (mut lines, mut file) = (CsvLines::default(), BufWriter::new(file));
                lines.header(&schema, &mut file)?;
                Self::Csv(lines, file)
            }
            FileFormat::Json => Self::Json(JsonLines::new(&schema), BufWriter::new(file)),
        })
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        match self {
            Self::Parquet(writer) => writer.write(batch)?,
            Self::Csv(lines, file) => lines.write(batch, file)?,
            Self::Json(lines, file) => lines.write(batch, file)?,
        }
        Ok(())
    }

    /// Finishes the file and syncs it to disk.
    fn finish(self) -> Result<(), Failure> {
        let file = match self {
            Self::Parquet(writer) => writer.into_inner()?,
            Self::Csv(_, file) | Self::Json(_, file) => flushed(file)?,
        };
        file.sync_all()?;
        Ok(())
    }
}

fn flushed(mut buffered: BufWriter<File>) -> std::io::Result<File> {
    buffered.flush()?;
    buffered.into_inner().map_err(std::io::IntoInnerError::into_error)
}
