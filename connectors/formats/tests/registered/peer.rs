//! PROTOBUF beside prost: the schema of columns is compiled without us, and every payload is a message of it.

use arrow::array::Array;
use headwater_formats::format::FormatKind;
use headwater_formats::protobuf_files;
use prost_reflect::{DynamicMessage, MessageDescriptor};
use protox::Compiler;
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};

use super::{Case, seeds};

/// Goal: another reader finds the fields where the schema says that they are. Method: it reads each payload behind its
/// frame without a field that it does not know, and what it writes is read by us as the same columns.
#[test]
fn a_peer_reads_what_we_write_by_our_schema() {
    for (seed, _, mut rng) in seeds(30) {
        let case = Case::new(&mut rng, FormatKind::Protobuf).without_odd_doubles();
        let text = case.schema().text.to_string();
        let descriptor = compiled(&text);
        let payloads = case.encode(Some(7));
        let again: Vec<Option<Vec<u8>>> = payloads
            .iter()
            .map(|payload| {
                let (frame, message) = payload?.split_at(6);
                assert_eq!(frame, [0, 0, 0, 0, 7, 0], "seed {seed}");
                let message = DynamicMessage::decode(descriptor.clone(), message);
                let message = message.unwrap_or_else(|error| panic!("seed {seed}: {error}: {text}"));
                assert_eq!(message.unknown_fields().count(), 0, "seed {seed}: {text}");
                Some([frame, &prost::Message::encode_to_vec(&message)].concat())
            })
            .collect();
        let mut decoder = case.format.decoder(&case.with_schema(Some(7)), &case.all()).unwrap();
        let (ours, theirs) = (decoder.decode(&payloads), decoder.decode(&again.iter().map(Option::as_deref).collect()));
        assert_eq!(theirs.bad, [], "seed {seed}");
        for (ours, theirs) in ours.columns.iter().zip(&theirs.columns) {
            super::assert_equal(theirs, ours, &format!("seed {seed}: {text}"));
        }
        assert_eq!(payloads.null_count(), 0, "seed {seed}");
    }
}

fn compiled(text: &str) -> MessageDescriptor {
    let mut resolver = ChainFileResolver::new();
    resolver.add(Files(text.to_owned()));
    resolver.add(GoogleFileResolver::new());
    let mut compiler = Compiler::with_file_resolver(resolver);
    compiler.open_file("root.proto").unwrap();
    compiler.descriptor_pool().get_message_by_name("ConnectDefault1").unwrap()
}

/// The schema, and the files that it may import.
struct Files(String);

impl FileResolver for Files {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        let text = if name == "root.proto" { Some(self.0.as_str()) } else { protobuf_files::text(name) };
        File::from_source(name, text.ok_or_else(|| protox::Error::file_not_found(name))?)
    }
}
