//! Payloads of one layout, shown as JSON.

use arrow::array::{Array as _, BinaryArray};
use headwater_formats::format::{Decoder, Encoder, FormatError, FormatKind, Layout};
use headwater_formats::record::Side;
use headwater_language::catalog::Catalog;
use headwater_language::definition::SourceDef;

use super::super::schemas::side_of;

/// Shows payloads.
pub struct Shown {
    format: FormatKind,
    /// What decodes payloads. It may have to learn schemas.
    pub decoder: Box<dyn Decoder>,
    encoder: Box<dyn Encoder>,
}

impl Shown {
    /// Shows payloads of a layout. Fails if the format does not have it.
    pub fn of(format: FormatKind, layout: &Layout) -> Result<Self, FormatError> {
        let all: Vec<usize> = (0..layout.fields.len()).collect();
        let json = Layout { wrapped: layout.wrapped, ..Layout::of(layout.fields.clone()) };
        Ok(Self { format, decoder: format.decoder(layout, &all)?, encoder: FormatKind::Json.encoder(&json)? })
    }

    /// How keys and values of a topic are shown whose format nothing but a declaration tells: bare AVRO and PROTOBUF.
    pub fn declared(catalog: &Catalog, topic: &str) -> [Option<Self>; 2] {
        let of =
            |side: Side| catalog.sources().filter(|source| source.topic == topic).find_map(|source| bare(source, side));
        [Side::Key, Side::Value].map(of)
    }

    /// The format of a payload, and its value as JSON. `None` if it has another format.
    pub fn show(&mut self, payload: &[u8]) -> Option<(FormatKind, String)> {
        let decoded = self.decoder.decode(&BinaryArray::from_vec(vec![payload]));
        let json = self.encoder.encode(&decoded.columns, 1, None).payloads;
        let is_good = decoded.bad.is_empty() && json.is_valid(0);
        is_good.then(|| (self.format, String::from_utf8_lossy(json.value(0)).into_owned()))
    }
}

fn bare(source: &SourceDef, side: Side) -> Option<Shown> {
    let (def, role) = side_of(source, side);
    let format = source.format_of(def, &role).ok()?;
    let is_bare = def.declares_schema() || format == FormatKind::ProtobufNosr;
    // Windowed keys have more than the key in them.
    let is_whole = side == Side::Value || source.window.is_none();
    (is_bare && is_whole).then(|| Shown::of(format, &source.layout(def, &role)).ok())?
}
