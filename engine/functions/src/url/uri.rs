//! Splits a URI into its parts in the same way as `java.net.URI` (RFC 2396, with characters beyond ASCII).

use std::borrow::Cow;

use headwater_formats::decode_utf8;

/// The parts of a URI, still percent-encoded.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Uri<'a> {
    /// `https`.
    pub scheme: Option<&'a str>,
    /// A server's name or address.
    pub host: Option<&'a str>,
    /// A server's port.
    pub port: Option<i32>,
    /// The path; none after a scheme without a slash, as in `mailto:`.
    pub path: Option<&'a str>,
    /// The query, after `?`.
    pub query: Option<&'a str>,
    /// The fragment, after `#`.
    pub fragment: Option<&'a str>,
}

impl<'a> Uri<'a> {
    /// Splits a text. Fails in the same cases as Java: on characters that must be escaped, a percent sign without
    /// digits, and a scheme without a name.
    pub fn parse(text: &'a str) -> Result<Self, String> {
        check(text)?;
        let mut uri = Self::default();
        let rest = match text.split_once('#') {
            Some((rest, fragment)) => {
                uri.fragment = Some(fragment);
                rest
            }
            None => text,
        };
        let rest = match rest.find([':', '/', '?']).filter(|at| rest.as_bytes()[*at] == b':') {
            Some(at) => {
                let scheme = &rest[..at];
                let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
                if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.chars().all(legal) {
                    return Err(format!("'{text}' is not a valid URL: its protocol is malformed"));
                }
                uri.scheme = Some(scheme);
                &rest[at + 1..]
            }
            None => rest,
        };
        if uri.scheme.is_some() && !rest.starts_with('/') {
            return if rest.is_empty() {
                Err(format!("'{text}' is not a valid URL: it ends after the protocol"))
            } else {
                Ok(uri)
            };
        }
        let rest = match rest.split_once('?') {
            Some((rest, query)) => {
                uri.query = Some(query);
                rest
            }
            None => rest,
        };
        uri.path = Some(match rest.strip_prefix("//") {
            Some(rest) => {
                let end = rest.find('/').unwrap_or(rest.len());
                uri.authority(&rest[..end]);
                &rest[end..]
            }
            None => rest,
        });
        Ok(uri)
    }

    /// `user@host:port`. An authority that is not a server's address has neither host nor port.
    fn authority(&mut self, text: &'a str) {
        let server = text.rsplit_once('@').map_or(text, |(_, server)| server);
        let (host, port) = match server.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port),
            _ => (server, ""),
        };
        let number = if port.is_empty() { Some(None) } else { port.parse().ok().map(Some) };
        if let Some(port) = number.filter(|_| is_host(host)) {
            self.host = Some(host);
            self.port = port;
        }
    }
}

/// A name whose last label begins with a letter, or an address.
fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        let address = address.split_once('%').map_or(address, |(address, _)| address);
        return address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    if host.parse::<std::net::Ipv4Addr>().is_ok() {
        return true;
    }
    let labels = host.strip_suffix('.').unwrap_or(host);
    let is_label = |label: &str| {
        let inner = |c: char| c.is_ascii_alphanumeric() || c == '-';
        !label.is_empty() && label.chars().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    let last = labels.rsplit('.').next().unwrap_or_default();
    labels.split('.').all(is_label) && last.starts_with(|c: char| c.is_ascii_alphabetic())
}

fn check(text: &str) -> Result<(), String> {
    let bytes = text.as_bytes();
    for (at, char) in text.char_indices() {
        let legal = match char {
            '%' => percent(bytes, at).is_some(),
            ' ' | '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}' => false,
            c => !c.is_control() && !c.is_whitespace(),
        };
        if !legal {
            return Err(format!("'{text}' is not a valid URL: '{char}' at byte {} must be escaped", at + 1));
        }
    }
    Ok(())
}

/// The byte encoded by the percent sign at a position.
pub fn percent(bytes: &[u8], at: usize) -> Option<u8> {
    let digit = |at: usize| (*bytes.get(at)? as char).to_digit(16);
    Some((digit(at + 1)? * 16 + digit(at + 2)?) as u8)
}

/// A part, percent-decoded, as UTF-8.
pub fn decode(part: &str) -> Cow<'_, str> {
    if !part.contains('%') {
        return Cow::Borrowed(part);
    }
    let bytes = part.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%').then(|| percent(bytes, at)).flatten();
        out.push(escaped.unwrap_or(bytes[at]));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    Cow::Owned(decode_utf8(&out).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_are_cut_as_in_java() {
        let uri = Uri::parse("http://me:x@host.com:81/a%20b/c?q=1?#f").expect("a URI");
        let expected = Uri {
            scheme: Some("http"),
            host: Some("host.com"),
            port: Some(81),
            path: Some("/a%20b/c"),
            query: Some("q=1?"),
            fragment: Some("f"),
        };
        assert_eq!(uri, expected);
        assert_eq!(decode("a%20b%C3%A4+"), "a bä+");
    }

    #[test]
    fn odd_uris() {
        let host = |text: &str| Uri::parse(text).map(|uri| uri.host.map(str::to_owned));
        assert_eq!(host("http://[::1]:80/"), Ok(Some("[::1]".to_owned())));
        assert_eq!(host("http://my_host/"), Ok(None));
        assert_eq!(host("http://1.2.3.4"), Ok(Some("1.2.3.4".to_owned())));
        assert_eq!(Uri::parse("mailto:a@b").map(|uri| uri.path), Ok(None));
        assert_eq!(Uri::parse("www.a.b?c").map(|uri| (uri.scheme, uri.path)), Ok((None, Some("www.a.b"))));
        assert!(["http://a b", "%zz", ":a", "1:b", "a:", "http://{"].iter().all(|text| Uri::parse(text).is_err()));
    }
}
