//! Goal: the client takes what any registry answers, and says what to do when none does. Method: a registry that
//! answers each path with a canned text, and counts what it is asked; the API itself is tested against the embedded
//! registry (`server/registry`).

mod canned;
mod certificates;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use canned::Canned;
use headwater_formats::schema::SchemaKind;
use headwater_registry::{Level, Missing, NewSchema, Registry, RegistryError, Settings};

fn connect(urls: &str) -> Registry {
    Registry::connect(Settings::at(urls).expect("the URLs are valid")).expect("no files are read")
}

/// The error of a registry that answers everything with this.
async fn error(status: u16, body: &'static str) -> RegistryError {
    let server = Canned::start(move |_| (status, body.to_owned())).await;
    connect(&server.url()).latest("s").await.expect_err("an error was answered")
}

#[tokio::test]
async fn kinds_and_references_may_be_missing() {
    let server = Canned::start(|request| match request.target.as_str() {
        "/schemas/ids/1" => (200, r#"{"schema":"\"int\""}"#.to_owned()),
        "/schemas/ids/2" => (200, r#"{"schema":"{}","schemaType":"JSON","references":[]}"#.to_owned()),
        "/schemas/ids/3" => (200, r#"{"schema":"\"int\"","references":null,"maxId":7,"other":{}}"#.to_owned()),
        "/schemas/ids/4" => (200, r#"{"schema":"x","schemaType":"THRIFT"}"#.to_owned()),
        _ => (404, r#"{"error_code":40403,"message":"Schema not found"}"#.to_owned()),
    });
    let server = server.await;
    let registry = connect(&server.url());
    let kinds = [registry.schema(1).await, registry.schema(2).await, registry.schema(3).await];
    let kinds: Vec<_> = kinds.into_iter().map(|schema| schema.expect("there is one").kind).collect();
    assert_eq!(kinds, [SchemaKind::Avro, SchemaKind::Json, SchemaKind::Avro]);
    let unknown = registry.schema(4).await.expect_err("the kind is unknown");
    assert_eq!(unknown.to_string(), "a schema is of the unknown kind \"THRIFT\"");
    let missing = registry.schema(5).await.expect_err("there is none");
    assert!(matches!(missing, RegistryError::NotFound { missing: Missing::Schema, .. }), "{missing:?}");
}

#[tokio::test]
async fn no_subjects_may_be_null() {
    let server = Canned::start(|_| (200, "null".to_owned())).await;
    assert_eq!(connect(&server.url()).subjects().await, Ok(vec![]));
}

#[tokio::test]
async fn a_url_may_have_a_path() {
    let server = Canned::start(|request| (200, format!("[{:?}]", request.target))).await;
    let registry = connect(&format!("{}/apis/ccompat/v7/", server.url()));
    assert_eq!(registry.subjects().await, Ok(vec!["/apis/ccompat/v7/subjects".to_owned()]));
}

#[tokio::test]
async fn references_are_followed_once() {
    let server = Canned::start(|request| {
        let refers = |subjects: &[&str]| {
            let one = |s: &&str| format!(r#"{{"name":"{s}.proto","subject":"{s}","version":1}}"#);
            subjects.iter().map(one).collect::<Vec<_>>().join(",")
        };
        let version = |subject: &str, references: String| {
            format!(
                r#"{{"subject":"{subject}","version":1,"id":9,"schemaType":"PROTOBUF","schema":"{subject}","references":[{references}]}}"#
            )
        };
        match request.target.as_str() {
            "/schemas/ids/1" => {
                let references = refers(&["a", "b/c"]);
                (200, format!(r#"{{"schema":"root","schemaType":"PROTOBUF","references":[{references}]}}"#))
            }
            "/subjects/a/versions/1?deleted=true" => (200, version("a", refers(&["d"]))),
            "/subjects/b%2Fc/versions/1?deleted=true" => (200, version("b/c", refers(&["d"]))),
            "/subjects/d/versions/1?deleted=true" => (200, version("d", String::new())),
            "/schemas/ids/2" => (200, format!(r#"{{"schema":"x","references":[{}]}}"#, refers(&["loop"]))),
            "/subjects/loop/versions/1?deleted=true" => (200, version("loop", refers(&["loop"]))),
            other => panic!("nobody asks for {other}"),
        }
    });
    let server = server.await;
    let registry = connect(&server.url());
    let schema = registry.schema(1).await.expect("all are there");
    let names: Vec<_> = schema.references.iter().map(|r| (r.name.as_str(), &*r.schema.text)).collect();
    assert_eq!(names, [("a.proto", "a"), ("b/c.proto", "b/c")]);
    assert_eq!(&*schema.references[1].schema.references[0].schema.text, "d");
    assert_eq!(server.requests().len(), 4);
    let endless = registry.schema(2).await.expect_err("it refers to itself");
    assert!(endless.to_string().contains("too many references"), "{endless}");
}

#[tokio::test]
async fn one_request_is_sent_for_an_id() {
    let server = Canned::slow(Duration::from_millis(100), |_| (200, r#"{"schema":"\"int\""}"#.to_owned())).await;
    let registry = Arc::new(connect(&server.url()));
    let asking: Vec<_> = (0..50)
        .map(|_| {
            let registry = Arc::clone(&registry);
            tokio::spawn(async move { registry.schema(1).await })
        })
        .collect();
    // Whoever gives up leaves the question to the others.
    asking[0].abort();
    let mut answered = 0;
    for task in asking {
        answered += usize::from(matches!(task.await, Ok(Ok(_))));
    }
    assert!(answered >= 49, "{answered}");
    assert!(registry.known_schema(1).is_some());
    registry.schema(1).await.expect("it is remembered");
    // Two if the first one had already asked when it gave up.
    assert!(server.requests().len() <= 2, "{:?}", server.requests());
}

/// A registry that does not know id 1 when it is asked first.
async fn learning() -> Canned {
    Canned::counting(|count| match count {
        0 => (404, r#"{"error_code":40403}"#.to_owned()),
        _ => (200, r#"{"schema":"\"int\""}"#.to_owned()),
    })
    .await
}

#[tokio::test]
async fn failures_are_not_remembered() {
    let server = learning().await;
    let registry = connect(&server.url());
    registry.schema(1).await.expect_err("the first answer");
    registry.schema(1).await.expect("the second answer");
}

/// Java's registries have ids of 32 bits with a sign, and answer to larger ones as if the path were wrong.
#[tokio::test]
async fn ids_that_no_registry_has_are_not_asked_for() {
    let server = Canned::start(|_| (404, r#"{"error_code":404,"message":"HTTP 404 Not Found"}"#.to_owned())).await;
    let registry = connect(&server.url());
    let error = registry.schema(0x8000_0000).await.expect_err("it is too large");
    assert!(matches!(error, RegistryError::NotFound { .. }), "{error:?}");
    assert_eq!(server.requests().len(), 0);
    let error = registry.schema(0x7fff_ffff).await.expect_err("that is not a registry");
    assert!(matches!(error, RegistryError::Other { .. }), "{error:?}");
}

#[tokio::test]
async fn what_answers_otherwise_than_a_registry_is_passed_over() {
    let up = Canned::start(|_| (200, r#"["a"]"#.to_owned())).await;
    for (status, page) in [(200, "<html>a page</html>"), (404, "<html>none</html>"), (500, "oops")] {
        let odd = Canned::start(move |_| (status, page.to_owned())).await;
        let registry = connect(&format!("{},{}", odd.url(), up.url()));
        assert_eq!(registry.subjects().await, Ok(vec!["a".to_owned()]), "{status} {page}");
        let error = connect(&odd.url()).subjects().await.expect_err("that is not a registry");
        assert!(matches!(error, RegistryError::Other { .. }), "{error:?}");
        // The registry may come back.
        let registry = connect(&format!("{},{}", odd.url(), Canned::closed().await));
        assert!(registry.subjects().await.expect_err("none answers").is_retryable(), "{status} {page}");
    }
}

/// A record can be read sooner after its schema than a registry's copy has it.
#[tokio::test]
async fn an_unknown_id_of_records_is_asked_for_again() {
    let server = learning().await;
    let registry = connect(&server.url());
    registry.schema_of_records(1).await.expect_err("the first answer");
    registry.schema_of_records(1).await.expect("the second answer");
}

#[tokio::test]
async fn registries_are_tried_in_turn() {
    let up = Canned::start(|_| (200, r#"["a"]"#.to_owned())).await;
    let ill = Canned::start(|_| (503, "try later".to_owned())).await;
    let down = Canned::closed().await;
    let registry = connect(&format!("{down},{},{}/", ill.url(), up.url()));
    for _ in 0..3 {
        assert_eq!(registry.subjects().await, Ok(vec!["a".to_owned()]));
    }
    // The one that answered is asked first from then on.
    assert_eq!((ill.requests().len(), up.requests().len()), (1, 3));
    drop(up);
    let error = registry.subjects().await.expect_err("none answers");
    assert!(error.is_retryable() && error.setting() == Some("schema.registry.url"), "{error:?}");
    let text = error.to_string();
    assert!(text.starts_with("the schema registry cannot be used now: http://127.0.0.1:"), "{text}");
    assert!(text.contains(": connection refused; ") && text.contains(" answered 503 (try later)"), "{text}");
    let error = connect(&down).subjects().await.expect_err("nobody listens");
    assert_eq!(error.to_string(), format!("could not reach the schema registry: {down}: connection refused"));
    assert_eq!(error.setting(), Some("schema.registry.url"));
}

/// Whoever answers that it is busy has been reached, and is where the settings say.
#[tokio::test]
async fn a_busy_registry_is_not_a_wrong_setting() {
    for (status, body, reason) in [
        (429, r#"{"error_code":429,"message":"too many"}"#, "too many"),
        (500, r#"{"error_code":50003,"message":"no leader"}"#, "no leader"),
        (503, "", "Service Unavailable"),
    ] {
        let busy = Canned::start(move |_| (status, body.to_owned())).await;
        let error = connect(&busy.url()).subjects().await.expect_err("it is busy");
        let text = format!("the schema registry cannot be used now: {} answered {status} ({reason})", busy.url());
        assert_eq!((error.to_string(), error.setting(), error.is_retryable()), (text, None, true));
        // The one that cannot be reached may have another address.
        let error = connect(&format!("{},{}", Canned::closed().await, busy.url())).subjects().await;
        assert_eq!(error.expect_err("none serves").setting(), Some("schema.registry.url"));
    }
    let fault = error(500, r#"{"error_code":500,"message":"a fault"}"#).await;
    assert!(fault.setting().is_none() && !fault.is_retryable(), "{fault:?}");
    let odd = error(500, "oops").await;
    assert!(odd.setting() == Some("schema.registry.url") && !odd.is_retryable(), "{odd:?}");
}

#[tokio::test]
async fn silence_is_bounded() {
    let server = Canned::slow(Duration::from_secs(60), |_| (200, "[]".to_owned())).await;
    let mut settings = Settings::at(&server.url()).expect("valid");
    settings.request_timeout = Duration::from_millis(100);
    let error = Registry::connect(settings).expect("no files are read").subjects().await.expect_err("it is silent");
    assert!(error.to_string().ends_with(": no answer within 100 ms"), "{error}");
}

#[tokio::test]
async fn errors_say_what_to_do() {
    let missing = |error: RegistryError| match error {
        RegistryError::NotFound { missing, .. } => missing,
        other => panic!("{other:?}"),
    };
    assert_eq!(missing(error(404, r#"{"error_code":40401,"message":"m"}"#).await), Missing::Subject);
    assert_eq!(missing(error(404, r#"{"error_code":40402,"message":"m"}"#).await), Missing::Version);
    let other = error(404, "<html>nothing here</html>").await;
    assert_eq!(other.setting(), Some("schema.registry.url"));
    assert!(other.to_string().contains("answered 404: <html>nothing here</html>; is schema.registry.url right?"));
    let invalid = error(422, r#"{"error_code":42201,"message":"Invalid schema"}"#).await;
    assert_eq!(invalid, RegistryError::Invalid { code: 42201, message: "Invalid schema".into() });
    let refused = error(401, r#"{"error_code":401,"message":"Unauthorized"}"#).await;
    assert_eq!(refused.setting(), Some("basic.auth.user.info"));
    let failed = error(500, "oops").await;
    assert!(matches!(failed, RegistryError::Other { status: 500, .. }), "{failed:?}");
    let passing = error(500, r#"{"error_code":50003,"message":"no leader"}"#).await;
    assert!(passing.is_retryable(), "{passing:?}");
    let odd = error(200, "hello").await;
    assert!(odd.to_string().contains("the answer is not that of a schema registry"), "{odd}");
}

#[tokio::test]
async fn conflicts_are_explained() {
    let server = Canned::start(|request| match request.target.as_str() {
        "/subjects/s/versions" => (409, r#"{"error_code":409,"message":"incompatible"}"#.to_owned()),
        "/compatibility/subjects/s/versions/latest?verbose=true" => {
            (200, r#"{"is_compatible":false,"messages":["field note has no default"]}"#.to_owned())
        }
        "/subjects/t/versions" => (409, r#"{"error_code":409,"message":"incompatible"}"#.to_owned()),
        _ => (200, r#"{"is_compatible":false}"#.to_owned()),
    });
    let server = server.await;
    let registry = connect(&server.url());
    let new = NewSchema::new(SchemaKind::Avro, "\"int\"");
    let messages = async |subject| match registry.register(subject, &new).await {
        Err(RegistryError::Incompatible { messages }) => messages,
        other => panic!("{other:?}"),
    };
    assert_eq!(messages("s").await, ["field note has no default"]);
    assert_eq!(messages("t").await, ["incompatible"]);
    assert_eq!(server.requests()[0].body, r#"{"schema":"\"int\""}"#);
}

#[tokio::test]
async fn the_registry_is_asked_each_time_that_a_schema_is_registered() {
    let server = Canned::start(|_| (200, r#"{"id":7}"#.to_owned())).await;
    let registry = connect(&server.url());
    let new = NewSchema::new(SchemaKind::Protobuf, "syntax").with_reference("a.proto", "a", 1);
    for _ in 0..2 {
        assert_eq!(registry.register("s", &new).await, Ok(7));
    }
    let bodies: Vec<String> = server.requests().into_iter().map(|request| request.body).collect();
    let body =
        r#"{"schema":"syntax","schemaType":"PROTOBUF","references":[{"name":"a.proto","subject":"a","version":1}]}"#;
    assert_eq!(bodies, [body, body], "another client may have deleted the subject in between");
}

#[tokio::test]
async fn a_subject_may_have_no_level_of_its_own() {
    let server = Canned::start(|request| match request.target.as_str() {
        "/config" => (200, r#"{"compatibilityLevel":"FULL"}"#.to_owned()),
        "/config/a" => (404, r#"{"error_code":40408,"message":"m"}"#.to_owned()),
        "/config/b" => (404, r#"{"error_code":40401,"message":"m"}"#.to_owned()),
        _ => (200, r#"{"compatibility":"NONE"}"#.to_owned()),
    });
    let server = server.await;
    let registry = connect(&server.url());
    assert_eq!(registry.level(None).await, Ok(Some(Level::Full)));
    assert_eq!(registry.level(Some("a")).await, Ok(None));
    assert_eq!(registry.level(Some("b")).await, Ok(None));
    assert_eq!(registry.level(Some("c")).await, Ok(Some(Level::None)));
    registry.set_level(Some("c"), Level::None).await.expect("the answer is understood");
}

#[tokio::test]
async fn credentials_are_sent() {
    let server = Canned::start(|_| (200, "[]".to_owned())).await;
    let asked = async |properties: &[(&str, &str)]| {
        let url = server.url();
        let properties = [("schema.registry.url", url.as_str())].into_iter().chain(properties.iter().copied());
        let settings = Settings::from_properties(properties).expect("valid").expect("there is a URL");
        Registry::connect(settings).expect("no files are read").subjects().await.expect("it answers");
        server.requests().last().and_then(|request| request.authorization.clone())
    };
    assert_eq!(asked(&[]).await, None);
    assert_eq!(asked(&[("basic.auth.user.info", "user:pass")]).await.as_deref(), Some("Basic dXNlcjpwYXNz"));
    assert_eq!(asked(&[("bearer.auth.token", "abc")]).await.as_deref(), Some("Bearer abc"));
}
