//! Parts of URLs, as defined by `java.net.URI`.

mod param;
mod uri;

use std::borrow::Cow;

use arrow::array::ArrayRef;
use arrow::datatypes::Int32Type;
use datafusion::error::Result;

use super::call::Call;
use super::signature::Category::Url;
use super::signature::Type::{Int, String};
use super::signature::{Function, Param, Variant, p};
use uri::{Uri, decode};

const URL: &[Param] = &[p("url", String)];
const TEXT: &[Param] = &[p("text", String)];

/// The functions.
pub static FUNCTIONS: &[Function] = &[
    Function::new(
        "URL_ENCODE_PARAM",
        Url,
        "A text encoded for the query of a URL: a space becomes +, and characters other than letters, digits and .-*_ become %XX.",
        &[Variant::new(TEXT, String, param::encode)],
        &[("URL_ENCODE_PARAM('?foo $bar')", "%3Ffoo+%24bar")],
    ),
    Function::new(
        "URL_DECODE_PARAM",
        Url,
        "A text decoded from the encoding of URL_ENCODE_PARAM.",
        &[Variant::new(TEXT, String, param::decode)],
        &[("URL_DECODE_PARAM('%3Ffoo+%24bar')", "?foo $bar")],
    ),
    Function::new(
        "URL_EXTRACT_FRAGMENT",
        Url,
        "The fragment of a URL (the part after #), decoded; NULL if there is none.",
        &[Variant::new(URL, String, |call| part(call, |uri| uri.fragment.map(decode)))],
        &[("URL_EXTRACT_FRAGMENT('http://test.com/a#frag')", "frag")],
    ),
    Function::new(
        "URL_EXTRACT_HOST",
        Url,
        "The host of a URL; NULL if there is none.",
        &[Variant::new(URL, String, |call| part(call, |uri| uri.host.map(Cow::Borrowed)))],
        &[("URL_EXTRACT_HOST('http://me@test.com:8080/a')", "test.com")],
    ),
    Function::new(
        "URL_EXTRACT_PARAMETER",
        Url,
        "The value of a parameter in the query of a URL, decoded; an empty text if the parameter has no value, NULL if there is no such parameter.",
        &[Variant::new(&[p("url", String), p("name", String)], String, parameter)],
        &[("URL_EXTRACT_PARAMETER('http://test.com/?a=1&b=x%20y', 'b')", "x y")],
    ),
    Function::new(
        "URL_EXTRACT_PATH",
        Url,
        "The path of a URL, decoded.",
        &[Variant::new(URL, String, |call| part(call, |uri| uri.path.map(decode)))],
        &[("URL_EXTRACT_PATH('http://test.com/a/b?q')", "/a/b")],
    ),
    Function::new(
        "URL_EXTRACT_PORT",
        Url,
        "The port of a URL; NULL if there is none.",
        &[Variant::new(URL, Int, port)],
        &[("URL_EXTRACT_PORT('http://test.com:8080/a')", "8080"), ("URL_EXTRACT_PORT('http://test.com')", "NULL")],
    ),
    Function::new(
        "URL_EXTRACT_PROTOCOL",
        Url,
        "The protocol of a URL, such as https; NULL if there is none.",
        &[Variant::new(URL, String, |call| part(call, |uri| uri.scheme.map(Cow::Borrowed)))],
        &[("URL_EXTRACT_PROTOCOL('https://test.com')", "https")],
    ),
    Function::new(
        "URL_EXTRACT_QUERY",
        Url,
        "The query of a URL (the part between ? and #), decoded; NULL if there is none.",
        &[Variant::new(URL, String, |call| part(call, |uri| uri.query.map(decode)))],
        &[("URL_EXTRACT_QUERY('http://test.com?a=1#frag')", "a=1")],
    ),
];

fn part(call: &Call<'_>, of: for<'a> fn(&Uri<'a>) -> Option<Cow<'a, str>>) -> Result<ArrayRef> {
    let urls = call.texts(0);
    call.each_text(|row, out| Ok(of(&Uri::parse(urls.value(row))?).map(|part| out.push_str(&part))))
}

fn port(call: &Call<'_>) -> Result<ArrayRef> {
    let urls = call.texts(0);
    call.each::<Int32Type>(|row| Ok(Uri::parse(urls.value(row))?.port))
}

fn parameter(call: &Call<'_>) -> Result<ArrayRef> {
    let (urls, names) = (call.texts(0), call.texts(1));
    call.each_text(|row, out| {
        let Some(query) = Uri::parse(urls.value(row))?.query.map(decode) else { return Ok(None) };
        let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let mut named = pairs.filter(|(name, _)| *name == names.value(row));
        Ok(named.next().map(|(_, value)| out.push_str(value)))
    })
}
