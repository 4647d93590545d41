use std::time::Duration;

use common::Unavailable;
use mongodb::bson::doc;

use super::*;

const DOING: &str = "writing";

fn parse(reply: Document) -> Result<WriteReply, StoreError> {
    WriteReply::parse(DOING, &reply)
}

/// What a server says of the first of two statements.
fn with_write_error(code: i32, message: &str) -> Document {
    let error = doc! { "index": 0, "code": code, "errmsg": message };
    doc! { "n": 1, "nModified": 0, "writeErrors": [error], "ok": 1.0 }
}

/// The error of a command that the server refused, as the driver makes it of the answer.
fn command_error(code: i32, name: &str) -> Error {
    let answer = doc! { "code": code, "codeName": name, "errmsg": "said the server" };
    let command = mongodb::bson::deserialize_from_document(answer);
    ErrorKind::Command(command.expect("an error")).into()
}

#[test]
fn a_clean_answer_names_no_failure() {
    let upserted = doc! { "index": 1, "_id": "x" };
    let reply = doc! { "n": 2, "nModified": 1, "upserted": [upserted], "ok": 1.0 };
    let expected = WriteReply {
        failed: Vec::new(),
        count: 2,
    };
    assert_eq!(parse(reply).expect("a reply"), expected);
    // Servers differ in the types of their numbers.
    for reply in [doc! { "n": 2_i64 }, doc! { "n": 2.0 }] {
        assert_eq!(parse(reply).expect("a reply"), expected);
    }
}

#[test]
fn a_duplicate_is_told_from_what_can_never_be_written() {
    for (code, message) in [
        (
            11_000,
            "E11000 duplicate key error collection: millrace.feedback index: _id_ dup key: { _id: \"1\" }",
        ),
        (
            12_582,
            "E12582 duplicate key insert for unique index of capped collection",
        ),
    ] {
        let reply = parse(with_write_error(code, message)).expect("a reply");
        let said = format!("{message} (code {code})");
        assert_eq!(reply.failed, [(0, StatementError::Duplicate(said))]);
        assert_eq!(reply.count, 1);
    }
    for (code, message) in [
        (
            10_334,
            "BSONObj size: 17825845 (0x1100035) is invalid. Size must be between 0 and 16793600(16MB)",
        ),
        (
            17_419,
            "Resulting document after update is larger than 16777216",
        ),
        (121, "Document failed validation"),
        (
            52,
            "The dollar ($) prefixed field '$x' in 'extra.$x' is not allowed in the context of an update's replacement document.",
        ),
        (2, "invalid key: \"a.b\" (key must not contain '.' sign)"),
    ] {
        let reply = parse(with_write_error(code, message)).expect("a reply");
        let said = format!("{message} (code {code})");
        assert_eq!(reply.failed, [(0, StatementError::Refused(said))]);
    }
}

#[test]
fn a_server_that_changes_its_role_or_ends_is_never_blamed_on_a_document() {
    for (code, name) in [
        (189, "PrimarySteppedDown"),
        (91, "ShutdownInProgress"),
        (11_600, "InterruptedAtShutdown"),
        (11_602, "InterruptedDueToReplStateChange"),
        (10_107, "NotWritablePrimary"),
        (13_435, "NotPrimaryNoSecondaryOk"),
        (13_436, "NotPrimaryOrSecondary"),
        (64, "WriteConcernTimeout"),
        (50, "MaxTimeMSExpired"),
        (13, "Unauthorized"),
        (14_031, "OutOfDiskSpace"),
        (112, "WriteConflict"),
        (8, "UnknownError"),
        (1, "InternalError"),
    ] {
        let failure = StoreError::of_mongo(DOING, command_error(code, name));
        assert!(failure.is_unavailable(), "{failure:?}");
        assert!(failure.to_string().contains(name), "{failure}");
        let failure = parse(with_write_error(code, name)).expect_err(name);
        assert!(failure.is_unavailable(), "{failure:?}");
        let concern = doc! { "code": code, "codeName": name, "errmsg": "waiting", "errInfo": { "wtimeout": true } };
        let reply = doc! { "n": 2, "nModified": 2, "writeConcernError": concern, "ok": 1.0 };
        let failure = parse(reply).expect_err(name);
        assert!(failure.is_unavailable(), "{failure:?}");
    }
}

#[test]
fn a_command_whose_values_are_to_blame_is_refused() {
    for (code, name) in [
        (10_334, "BSONObjectTooLarge"),
        (22, "InvalidBSON"),
        (121, "DocumentValidationFailure"),
    ] {
        let failure = StoreError::of_mongo(DOING, command_error(code, name));
        assert!(failure.blames_values(), "{failure:?}");
        assert!(!failure.is_unavailable(), "{failure:?}");
    }
    // Of a command these may be about its form: then no document is to blame.
    for (code, name) in [(2, "BadValue"), (9, "FailedToParse"), (14, "TypeMismatch")] {
        let failure = StoreError::of_mongo(DOING, command_error(code, name));
        assert!(failure.is_unavailable(), "{failure:?}");
    }
}

#[test]
fn who_is_not_let_in_at_start_is_told_so_and_later_waits() {
    for (code, name) in [
        (18, "AuthenticationFailed"),
        (13, "Unauthorized"),
        (8_000, "AtlasError"),
    ] {
        let at_start = StoreError::of_mongo_at_start(DOING, command_error(code, name));
        assert!(!at_start.is_unavailable(), "{at_start:?}");
        let later = StoreError::of_mongo(DOING, command_error(code, name));
        assert!(later.is_unavailable(), "{later:?}");
    }
    let stepped_down = command_error(189, "PrimarySteppedDown");
    assert!(StoreError::of_mongo_at_start(DOING, stepped_down).is_unavailable());
}

#[test]
fn a_broken_connection_is_unavailable_and_the_runtime_finds_the_cause() {
    let error: Error = ErrorKind::from(std::io::ErrorKind::ConnectionReset).into();
    let failure = StoreError::of_mongo(DOING, error);
    let source = std::error::Error::source(&failure);
    assert!(source.is_some_and(<dyn std::error::Error>::is::<Unavailable>));
    assert!(
        failure
            .to_string()
            .starts_with("mongodb is unavailable: writing:")
    );
}

#[test]
fn an_answer_that_cannot_be_read_blames_nobody() {
    for errors in [
        doc! { "writeErrors": ["what?"] },
        doc! { "writeErrors": [{ "code": 11_000 }] },
        doc! { "writeErrors": [{ "index": -1, "code": 11_000 }] },
        doc! { "writeErrors": [{ "index": 0 }] },
    ] {
        let failure = parse(errors).expect_err("no reply");
        assert!(failure.is_unavailable(), "{failure:?}");
    }
}

/// A call that gets no answer: the words name what was tried and how long.
#[tokio::test]
async fn a_call_without_an_answer_ends_and_says_what_was_tried() {
    let settings = crate::mongo::MongoSettings {
        mongodb_uri: Some("mongodb://127.0.0.1:1".to_owned()),
        mongodb_database: None,
        mongodb_connect_timeout_ms: 100,
        mongodb_timeout_ms: 100,
    };
    let link = settings.link().expect("a link");
    let never = std::future::pending::<mongodb::error::Result<()>>();
    let call = link.bounded("waiting", never);
    let ended = tokio::time::timeout(Duration::from_secs(20), call).await;
    let failure = ended.expect("in time").expect_err("no answer");
    assert!(failure.is_unavailable(), "{failure:?}");
    assert!(
        failure
            .to_string()
            .contains("waiting: no answer within 100ms")
    );
}
