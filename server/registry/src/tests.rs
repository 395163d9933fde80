//! Goal: requests are answered with the statuses, codes and bodies of Confluent's registry. Method: lines of requests,
//! each with the answer that it gets, over one registry in memory; what clients need is tested in `tests/expectations`.

use crate::log::MemoryLog;
use crate::registry::SchemaRegistry;
use crate::request::{Answer, Method, Request};

/// Each line is a method, a target and a body; the answers must be those of the lines that begin with an arrow. After
/// `restart` the log is read again, after `compact` without the records that a broker would have removed.
async fn check(script: &str) {
    let log = MemoryLog::default();
    let mut registry = SchemaRegistry::new(Box::new(log.clone()));
    let mut lines = script.lines().map(str::trim).filter(|line| !line.is_empty()).peekable();
    while let Some(line) = lines.next() {
        if line == "restart" || line == "compact" {
            if line == "compact" {
                log.compact();
            }
            registry = SchemaRegistry::new(Box::new(log.clone()));
            continue;
        }
        let Answer { status, body } = registry.answer(parse(line)).await;
        let expected = lines.next_if(|line| line.starts_with("→")).unwrap_or("→ no answer is expected");
        assert_eq!(format!("→ {status} {body}"), expected, "{line}");
    }
}

fn parse(line: &str) -> Request {
    let mut parts = line.splitn(3, ' ');
    let method = match parts.next() {
        Some("GET") => Method::Get,
        Some("POST") => Method::Post,
        Some("PUT") => Method::Put,
        Some("DELETE") => Method::Delete,
        _ => Method::Other,
    };
    let target = parts.next().expect("a target").to_owned();
    Request::new(method, &target, parts.next().unwrap_or_default().as_bytes().to_vec())
}

#[tokio::test]
async fn schemas_are_registered_and_read() {
    check(
        r#"
        GET /
        → 200 {}
        GET /schemas/types
        → 200 ["JSON","PROTOBUF","AVRO"]
        GET /subjects
        → 200 []
        POST /subjects/a/versions {"schema": "{\"type\": \"int\"}"}
        → 200 {"id":1}
        POST /subjects/a/versions {"schema": "\"int\"", "schemaType": "AVRO", "references": []}
        → 200 {"id":1}
        POST /subjects/b/versions {"schema": "{ \"type\": \"string\" }", "schemaType": "JSON"}
        → 200 {"id":2}
        GET /schemas/ids/1
        → 200 {"schema":"\"int\""}
        GET /schemas/ids/2?fetchMaxId=true
        → 200 {"schemaType":"JSON","schema":"{\"type\":\"string\"}","maxId":2}
        GET /schemas/ids/2/schema
        → 200 {"type":"string"}
        GET /schemas/ids/1/subjects
        → 200 ["a"]
        GET /schemas/ids/1/versions
        → 200 [{"subject":"a","version":1}]
        GET /subjects/b/versions/latest
        → 200 {"subject":"b","version":1,"id":2,"schemaType":"JSON","schema":"{\"type\":\"string\"}"}
        GET /subjects/b/versions/1/schema
        → 200 {"type":"string"}
        POST /subjects/a {"schema": "\"int\""}
        → 200 {"subject":"a","version":1,"id":1,"schema":"\"int\""}
        GET /subjects?subjectPrefix=b
        → 200 ["b"]
        GET /schemas?latestOnly=true&subjectPrefix=a
        → 200 [{"subject":"a","version":1,"id":1,"schema":"\"int\""}]
        restart
        GET /subjects
        → 200 ["a","b"]
        POST /subjects/c/versions {"schema": "\"long\""}
        → 200 {"id":3}
        "#,
    )
    .await;
}

#[tokio::test]
async fn errors_have_codes() {
    check(
        r#"
        POST /subjects/a/versions {"schema": "\"int\""}
        → 200 {"id":1}
        GET /nothing
        → 404 {"error_code":404,"message":"HTTP 404 Not Found"}
        PUT /subjects
        → 405 {"error_code":405,"message":"HTTP 405 Method Not Allowed"}
        GET /subjects/b/versions
        → 404 {"error_code":40401,"message":"Subject 'b' not found."}
        GET /subjects/a/versions/2
        → 404 {"error_code":40402,"message":"Version 2 not found."}
        GET /subjects/a/versions/0
        → 422 {"error_code":42202,"message":"The specified version '0' is not a valid version id. Allowed values are between [1, 2^31-1] and the string \"latest\""}
        GET /schemas/ids/7
        → 404 {"error_code":40403,"message":"Schema not found"}
        GET /schemas/ids/x
        → 404 {"error_code":40403,"message":"Schema not found"}
        POST /subjects/a {"schema": "\"long\""}
        → 404 {"error_code":40403,"message":"Schema not found"}
        POST /subjects/a/versions {"schema": "{\"type\": \"nothing\"}"}
        → 422 {"error_code":42201,"message":"Invalid schema: type \"nothing\" is not defined"}
        POST /subjects/a/versions {"schema": "x", "schemaType": "THRIFT"}
        → 422 {"error_code":42201,"message":"Invalid schema: the type \"THRIFT\" is not supported"}
        POST /subjects/a/versions {}
        → 422 {"error_code":42201,"message":"Invalid schema: the schema is empty"}
        POST /subjects/a/versions {
        → 400 {"error_code":400,"message":"The request body is not valid: EOF while parsing an object at line 1 column 1"}
        DELETE /subjects/a?permanent=true
        → 404 {"error_code":40405,"message":"Subject 'a' was not deleted first before being permanently deleted"}
        DELETE /subjects/a/versions/1?permanent=true
        → 404 {"error_code":40407,"message":"Subject 'a' Version 1 was not deleted first before being permanently deleted"}
        PUT /mode {"mode": "READONLY"}
        → 422 {"error_code":42205,"message":"Operation not permitted: the mode of the embedded registry is always READWRITE"}
        GET /mode
        → 200 {"mode":"READWRITE"}
        GET /mode/a
        → 404 {"error_code":40409,"message":"Subject 'a' does not have subject-level mode configured"}
        GET /mode/a?defaultToGlobal=true
        → 200 {"mode":"READWRITE"}
        "#,
    )
    .await;
}

#[tokio::test]
async fn deletion_is_soft_first() {
    check(
        r#"
        POST /subjects/a/versions {"schema": "\"int\""}
        → 200 {"id":1}
        POST /subjects/a/versions {"schema": "\"long\""}
        → 200 {"id":2}
        DELETE /subjects/a/versions/1
        → 200 1
        DELETE /subjects/a/versions/1
        → 404 {"error_code":40406,"message":"Subject 'a' Version 1 was soft deleted. Set permanent=true to delete permanently"}
        GET /subjects/a/versions
        → 200 [2]
        GET /subjects/a/versions?deleted=true
        → 200 [1,2]
        GET /subjects/a/versions/1?deleted=true
        → 200 {"subject":"a","version":1,"id":1,"schema":"\"int\""}
        compact
        DELETE /subjects/a
        → 200 [2]
        DELETE /subjects/a
        → 404 {"error_code":40404,"message":"Subject 'a' was soft deleted. Set permanent=true to delete permanently"}
        GET /subjects
        → 200 []
        GET /subjects?deleted=true
        → 200 ["a"]
        GET /schemas/ids/2
        → 200 {"schema":"\"long\""}
        compact
        POST /subjects/a/versions {"schema": "\"long\""}
        → 200 {"id":2}
        GET /subjects/a/versions?deleted=true
        → 200 [1,2,3]
        DELETE /subjects/a/versions/latest
        → 200 3
        DELETE /subjects/a?permanent=true
        → 200 [1,2,3]
        compact
        GET /subjects?deleted=true
        → 200 []
        GET /schemas/ids/2
        → 404 {"error_code":40403,"message":"Schema not found"}
        POST /subjects/a/versions {"schema": "\"long\""}
        → 200 {"id":3}
        GET /subjects/a/versions
        → 200 [1]
        "#,
    )
    .await;
}

#[tokio::test]
async fn ids_are_given_once() {
    check(
        r#"
        POST /subjects/a/versions {"schema": "\"int\""}
        → 200 {"id":1}
        POST /subjects/b/versions {"schema": "\"long\""}
        → 200 {"id":2}
        POST /subjects/b/versions {"schema": "\"float\""}
        → 200 {"id":3}
        DELETE /subjects/b/versions/2
        → 200 2
        DELETE /subjects/b/versions/2?permanent=true
        → 200 2
        compact
        GET /schemas/ids/3
        → 404 {"error_code":40403,"message":"Schema not found"}
        GET /schemas/ids/1?fetchMaxId=true
        → 200 {"schema":"\"int\"","maxId":3}
        POST /subjects/b/versions {"schema": "\"double\""}
        → 200 {"id":4}
        DELETE /subjects/b
        → 200 [1,2]
        DELETE /subjects/b?permanent=true
        → 200 [1,2]
        DELETE /subjects/a
        → 200 [1]
        DELETE /subjects/a?permanent=true
        → 200 [1]
        compact
        GET /subjects?deleted=true
        → 200 []
        compact
        POST /subjects/a/versions {"schema": "\"double\""}
        → 200 {"id":5}
        "#,
    )
    .await;
}

#[tokio::test]
async fn ids_and_versions_cannot_be_chosen() {
    check(
        r#"
        POST /subjects/a/versions {"schema": "\"int\"", "id": 500}
        → 422 {"error_code":42205,"message":"Subject a is not in import mode: the embedded registry chooses ids and versions itself"}
        POST /subjects/a/versions {"schema": "\"int\"", "version": 1}
        → 422 {"error_code":42205,"message":"Subject a is not in import mode: the embedded registry chooses ids and versions itself"}
        GET /subjects
        → 200 []
        POST /subjects/a/versions {"schema": "\"int\"", "id": -1, "version": 0}
        → 200 {"id":1}
        POST /subjects/a/versions {"schema": "\"int\"", "id": 1, "version": 1}
        → 200 {"id":1}
        POST /subjects/a/versions {"schema": "\"int\"", "id": 1, "version": -1}
        → 200 {"id":1}
        POST /subjects/a/versions {"schema": "\"int\"", "id": null, "version": 1}
        → 200 {"id":1}
        POST /subjects/a/versions {"schema": "\"int\"", "id": 0}
        → 422 {"error_code":42205,"message":"Subject a is not in import mode: the embedded registry chooses ids and versions itself"}
        POST /subjects/a/versions {"schema": "\"int\"", "id": 1, "version": 2}
        → 422 {"error_code":42205,"message":"Subject a is not in import mode: the embedded registry chooses ids and versions itself"}
        POST /subjects/a/versions {"schema": "\"long\"", "version": 2}
        → 422 {"error_code":42205,"message":"Subject a is not in import mode: the embedded registry chooses ids and versions itself"}
        POST /subjects/b/versions {"schema": "\"int\"", "id": 1}
        → 422 {"error_code":42205,"message":"Subject b is not in import mode: the embedded registry chooses ids and versions itself"}
        GET /subjects
        → 200 ["a"]
        GET /subjects/a/versions
        → 200 [1]
        "#,
    )
    .await;
}

#[tokio::test]
async fn levels_are_inherited() {
    check(
        r#"
        GET /config
        → 200 {"compatibilityLevel":"BACKWARD"}
        GET /config/a
        → 404 {"error_code":40408,"message":"Subject 'a' does not have subject-level compatibility configured"}
        GET /config/a?defaultToGlobal=true
        → 200 {"compatibilityLevel":"BACKWARD"}
        POST /subjects/a/versions {"schema": "\"int\""}
        → 200 {"id":1}
        POST /compatibility/subjects/a/versions/latest {"schema": "\"string\""}
        → 200 {"is_compatible":false}
        POST /compatibility/subjects/a/versions?verbose=true {"schema": "\"long\""}
        → 200 {"is_compatible":true,"messages":[]}
        POST /compatibility/subjects/a/versions/latest?verbose=true {"schema": "\"string\""}
        → 200 {"is_compatible":false,"messages":["{errorType:'TYPE_MISMATCH', description:'The type (path '/') of a field in the new schema is STRING, which does not match INT in the old schema', additionalInfo:'/'}","{oldSchemaVersion: 1}","{oldSchema: '\"int\"'}","{compatibility: 'BACKWARD'}"]}
        POST /compatibility/subjects/none/versions/latest {"schema": "\"string\""}
        → 200 {"is_compatible":true}
        POST /compatibility/subjects/none/versions/1 {"schema": "\"string\""}
        → 404 {"error_code":40401,"message":"Subject 'none' not found."}
        PUT /config {"compatibility": "none"}
        → 200 {"compatibility":"NONE"}
        POST /compatibility/subjects/a/versions/latest {"schema": "\"string\""}
        → 200 {"is_compatible":true}
        PUT /config/a {"compatibility": "FORWARD"}
        → 200 {"compatibility":"FORWARD"}
        restart
        GET /config/a
        → 200 {"compatibilityLevel":"FORWARD"}
        POST /subjects/a/versions {"schema": "{\"type\":\"string\"}", "schemaType": "JSON"}
        → 409 {"error_code":409,"message":"Schema being registered is incompatible with an earlier schema for subject \"a\", details: [{errorType:'SCHEMA_TYPE_CHANGED', description:'the schemas are of different types', additionalInfo:'/'}, {oldSchemaVersion: 1}, {oldSchema: '\"int\"'}, {compatibility: 'FORWARD'}]"}
        PUT /config/a {"compatibility": "SIDEWAYS"}
        → 422 {"error_code":42203,"message":"Invalid compatibility level \"SIDEWAYS\". Valid values are NONE, BACKWARD, BACKWARD_TRANSITIVE, FORWARD, FORWARD_TRANSITIVE, FULL, FULL_TRANSITIVE"}
        DELETE /config/a
        → 200 {"compatibilityLevel":"FORWARD"}
        DELETE /config/a
        → 404 {"error_code":40401,"message":"Subject 'a' not found."}
        GET /config/a
        → 404 {"error_code":40408,"message":"Subject 'a' does not have subject-level compatibility configured"}
        DELETE /config
        → 200 {"compatibilityLevel":"NONE"}
        GET /config
        → 200 {"compatibilityLevel":"BACKWARD"}
        "#,
    )
    .await;
}

#[tokio::test]
async fn references_are_kept() {
    check(
        r#"
        POST /subjects/i/versions {"schemaType": "PROTOBUF", "schema": "syntax = \"proto3\"; message I {}"}
        → 200 {"id":1}
        POST /subjects/c/versions {"schemaType": "PROTOBUF", "schema": "syntax = \"proto3\"; import \"i.proto\"; message C { I i = 1; }", "references": [{"name": "i.proto", "subject": "i", "version": -1}]}
        → 200 {"id":2}
        GET /schemas/ids/2
        → 200 {"schemaType":"PROTOBUF","references":[{"name":"i.proto","subject":"i","version":1}],"schema":"syntax = \"proto3\";\n\nimport \"i.proto\";\n\nmessage C {\n  I i = 1;\n}\n"}
        GET /schemas/ids/2?format=serialized
        → 200 {"schemaType":"PROTOBUF","references":[{"name":"i.proto","subject":"i","version":1}],"schema":"CgdkZWZhdWx0GgdpLnByb3RvIhUKAUMSEAoBaRgBIAEoCzICLklSAWliBnByb3RvMw=="}
        POST /subjects/c/versions {"schemaType": "PROTOBUF", "schema": "CgdkZWZhdWx0GgdpLnByb3RvIhIKAUMSDQoBaRgBIAEoCzICLkliBnByb3RvMw==", "references": [{"name": "i.proto", "subject": "i", "version": 1}]}
        → 200 {"id":2}
        GET /subjects/i/versions/1/referencedby
        → 200 [2]
        DELETE /subjects/i
        → 422 {"error_code":42206,"message":"One or more references exist to the schema {subject=i,version=1}."}
        DELETE /subjects/i/versions/1
        → 422 {"error_code":42206,"message":"One or more references exist to the schema {subject=i,version=1}."}
        POST /subjects/d/versions {"schema": "\"int\"", "references": [{"name": "x", "subject": "none", "version": 1}]}
        → 422 {"error_code":42201,"message":"Invalid schema: the reference \"x\" cannot be resolved: version 1 of \"none\" does not exist"}
        DELETE /subjects/c
        → 200 [1]
        DELETE /subjects/i
        → 200 [1]
        "#,
    )
    .await;
}

#[tokio::test]
async fn normalized_schemas_are_found() {
    check(
        r#"
        POST /subjects/a/versions {"schemaType": "JSON", "schema": "{\"title\":\"t\",\"type\":\"string\"}"}
        → 200 {"id":1}
        POST /subjects/a {"schemaType": "JSON", "schema": "{\"type\":\"string\",\"title\":\"t\"}"}
        → 404 {"error_code":40403,"message":"Schema not found"}
        POST /subjects/a?normalize=true {"schemaType": "JSON", "schema": "{\"type\":\"string\",\"title\":\"t\"}"}
        → 200 {"subject":"a","version":1,"id":1,"schemaType":"JSON","schema":"{\"title\":\"t\",\"type\":\"string\"}"}
        POST /subjects/b/versions?normalize=true {"schemaType": "JSON", "schema": "{\"type\":\"string\",\"title\":\"t\"}"}
        → 200 {"id":1}
        "#,
    )
    .await;
}
