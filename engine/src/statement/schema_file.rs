//! Files with schemas: `VALUE_SCHEMA_FILE = 'bid.avsc'` is `VALUE_SCHEMA = '…'` with the text of the file. The definition keeps
//! the text, so the file is read once, by the statement; a relative path begins in the working folder, as that of COPY.

use std::io::Read;

use headwater_language::diagnostic::{Diagnostic, PROPERTY_VALUE};
use headwater_language::sql::ast::{Literal, Property};

use crate::runtime::blocking;

/// The largest file that is read, in bytes: a definition must fit in a record of the command topic.
const BYTES_MAX: u64 = 512 * 1024;
const FILES: [(&str, &str); 2] = [("KEY_SCHEMA_FILE", "KEY_SCHEMA"), ("VALUE_SCHEMA_FILE", "VALUE_SCHEMA")];

/// The properties of a declaration with the schemas of its files in their place. Fails with an error for each file that cannot be
/// read.
pub(super) async fn inline(properties: &[Property]) -> Result<Vec<Property>, Vec<Diagnostic>> {
    if !properties.iter().any(|property| text_property(property).is_some()) {
        return Ok(properties.to_vec());
    }
    let mut properties = properties.to_vec();
    blocking(move || {
        let mut errors = Vec::new();
        for property in &mut properties {
            let Some((name, path)) = text_property(property) else { continue };
            match read(path) {
                Ok(text) => {
                    property.name.value = name.to_owned();
                    property.value.value = Literal::String(text);
                }
                Err(why) => {
                    let message = format!("the schema in {path} cannot be read: {why}");
                    errors.push(Diagnostic::new(PROPERTY_VALUE, message).at(property.value.span));
                }
            }
        }
        if errors.is_empty() { Ok(properties) } else { Err(errors) }
    })
    .await?
}

/// The property that the text of the file belongs to, and the path. `None` for other properties; those with a value that is no path
/// are left to the planner.
fn text_property(property: &Property) -> Option<(&'static str, &str)> {
    let (_, name) = FILES.into_iter().find(|(file, _)| property.name.eq_ignore_ascii_case(file))?;
    match &property.value.value {
        Literal::String(path) => Some((name, path)),
        _ => None,
    }
}

fn read(path: &str) -> Result<String, String> {
    // Opening a named pipe would wait for somebody who writes to it.
    if !std::fs::metadata(path).map_err(|error| error.to_string())?.is_file() {
        return Err("it is not a file".to_owned());
    }
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let mut text = String::new();
    match file.take(BYTES_MAX + 1).read_to_string(&mut text) {
        Ok(_) if text.len() as u64 > BYTES_MAX => Err(format!("it has more than {} KiB", BYTES_MAX / 1024)),
        Ok(_) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => Err("it is not UTF-8".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use headwater_connectors::transport::memory::MemoryTransport;
    use headwater_language::config::Settings;

    use crate::answer::{Answer, Facts, SchemaPlace};
    use crate::{Engine, Session};

    const SCHEMA: &str = r#"{"type": "record", "name": "r", "fields": [{"name": "A", "type": "long"}]}"#;

    async fn asked(engine: &Engine, statement: &str) -> Result<Answer, String> {
        let answer = engine.ask(&mut Session::new(Settings::default()), statement).await;
        answer.map_err(|errors| errors.iter().map(|error| format!("{error}\n")).collect())
    }

    fn declaration(file: &Path) -> String {
        let file = file.display();
        format!(
            "CREATE STREAM s WITH (KAFKA_TOPIC = 's', PARTITIONS = 1, VALUE_FORMAT = 'AVRO', VALUE_SCHEMA_FILE = '{file}');"
        )
    }

    #[tokio::test]
    async fn the_text_of_the_file_is_kept() {
        let engine = Engine::driven(Arc::new(MemoryTransport::new()), &Settings::default());
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("r.avsc");
        std::fs::write(&file, SCHEMA).expect("writes");
        asked(&engine, &declaration(&file)).await.expect("a good statement");
        folder.close().expect("removes the file");
        let Ok(Answer::Facts(Facts::SourceDescriptions(described))) = asked(&engine, "DESCRIBE s EXTENDED;").await
        else {
            panic!("it is described")
        };
        let described = &described[0];
        let (topic, _) = described.extended.as_ref().expect("EXTENDED looks at the topic");
        assert_eq!(topic.schemas[0].place, SchemaPlace::Declared(SCHEMA.into()));
        assert_eq!(described.source.columns[0].name, "A");
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_read_is_an_error_with_its_name() {
        let engine = Engine::driven(Arc::new(MemoryTransport::new()), &Settings::default());
        let folder = tempfile::tempdir().expect("a folder");
        let binary = folder.path().join("binary.avsc");
        std::fs::write(&binary, [0xff, 0xfe]).expect("writes");
        let large = folder.path().join("large.avsc");
        std::fs::write(&large, vec![b' '; 600_000]).expect("writes");
        let missing = folder.path().join("missing.avsc");
        for (file, why) in [(&binary, "not UTF-8"), (&large, "512 KiB"), (&missing, "No such file")] {
            let errors = asked(&engine, &declaration(file)).await.err().expect("an error");
            let name = file.file_name().expect("a name").to_string_lossy();
            assert!(errors.contains(&*name) && errors.contains(why), "{errors}");
        }
        let errors = asked(&engine, &declaration(folder.path())).await.err().expect("an error");
        assert!(errors.contains("not a file"), "{errors}");
    }
}
