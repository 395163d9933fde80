//! Unsecured tokens for OAUTHBEARER (RFC 7515, appendix A.5): a name without a signature, which test clusters accept.
//! rdkafka leaves the creation of tokens to its user, so librdkafka's own code for them is not used.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rdkafka::client::OAuthToken;
use serde_json::json;

/// How long a token is valid unless `lifeSeconds` says otherwise, in seconds.
const LIFE_SECONDS: i64 = 3_600;

/// The token that `sasl.oauthbearer.config` describes by `principal=NAME` and optionally `lifeSeconds=N` and
/// `scope=A,B`, issued at `now_s` (seconds since the epoch).
pub(super) fn unsecured(config: &str, now_s: i64) -> Result<OAuthToken, String> {
    let fields: BTreeMap<_, _> = config.split_whitespace().filter_map(|field| field.split_once('=')).collect();
    let principal = fields.get("principal").ok_or("sasl.oauthbearer.config has no principal=NAME")?;
    let life = match fields.get("lifeSeconds") {
        Some(text) => text.parse().map_err(|_| format!("lifeSeconds={text} is not a number"))?,
        None => LIFE_SECONDS,
    };
    let expires_s = now_s.saturating_add(life);
    let mut claims = json!({ "sub": principal, "iat": now_s, "exp": expires_s });
    if let Some(scope) = fields.get("scope") {
        claims["scope"] = scope.split(',').collect();
    }
    let encode = |part: &serde_json::Value| URL_SAFE_NO_PAD.encode(part.to_string());
    Ok(OAuthToken {
        token: format!("{}.{}.", encode(&json!({ "alg": "none" })), encode(&claims)),
        principal_name: (*principal).to_owned(),
        lifetime_ms: expires_s.saturating_mul(1_000),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_who_and_until_when() {
        let token = unsecured("principal=admin lifeSeconds=60 scope=a,b", 1_000).unwrap();
        assert_eq!((token.principal_name.as_str(), token.lifetime_ms), ("admin", 1_060_000));
        let claims = URL_SAFE_NO_PAD.decode(token.token.split('.').nth(1).unwrap()).unwrap();
        assert_eq!(String::from_utf8(claims).unwrap(), r#"{"sub":"admin","iat":1000,"exp":1060,"scope":["a","b"]}"#);
    }

    #[test]
    fn needs_a_principal() {
        assert!(unsecured("scope=a", 0).is_err());
        assert!(unsecured("principal=a lifeSeconds=x", 0).is_err());
    }
}
