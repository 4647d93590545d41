use common::messages::FeedbackKind;

use super::*;

fn document(created_at: i64) -> FeedbackDocument {
    FeedbackDocument {
        feedback_id: "1".to_owned(),
        agent_id: AgentId::new("7").expect("valid"),
        kind: FeedbackKind::Reply,
        room_id: String::new(),
        message_id: String::new(),
        user_id: String::new(),
        text: None,
        rating: None,
        reaction: None,
        created_at: UnixMillis(created_at),
        extra: Vec::new(),
    }
}

/// Judges the document of the moment 10 by what is there.
fn check(
    found: impl Into<Option<Found>>,
    said: Option<&str>,
    last_round: bool,
    expected: &Verdict,
) {
    let found: Option<Found> = found.into();
    let document = document(10);
    let pending = Pending::alone(&document, encode(&document));
    let verdict = judge(
        &pending,
        found.as_ref(),
        said.map(str::to_owned),
        last_round,
    );
    assert_eq!(verdict, *expected, "{said:?}");
}

fn found(created_at: i64, digest: &str) -> Found {
    Found {
        created_at: Some(UnixMillis(created_at)),
        digest: Some(digest.to_owned()),
    }
}

#[test]
fn what_is_there_settles_a_statement_or_it_is_sent_again() {
    let unchanged = Verdict::Settled(Upserted::Unchanged);
    let same = encode(&document(10)).digest;
    let duplicate = Some("E11000");
    check(found(10, &same), duplicate, false, &unchanged);
    check(found(11, "other"), duplicate, false, &unchanged);
    check(found(11, "other"), duplicate, true, &unchanged);
    check(found(10, "other"), duplicate, false, &Verdict::Again);
    check(found(9, "other"), duplicate, false, &Verdict::Again);
    check(None, duplicate, false, &Verdict::Again);
    let refused = Verdict::Settled(Upserted::Refused("E11000".to_owned()));
    check(None, duplicate, true, &refused);
}

/// A server that gave up at an earlier statement said nothing of this one.
#[test]
fn a_statement_of_which_nothing_was_said_was_written_if_it_is_there() {
    let same = encode(&document(10)).digest;
    check(
        found(10, &same),
        None,
        false,
        &Verdict::Settled(Upserted::Written),
    );
    check(
        found(11, "other"),
        None,
        false,
        &Verdict::Settled(Upserted::Unchanged),
    );
    check(found(9, "other"), None, false, &Verdict::Again);
    check(None, None, true, &Verdict::Again);
}

#[test]
fn a_document_whose_time_is_no_date_is_left_alone() {
    let foreign = Found {
        created_at: None,
        digest: None,
    };
    let why = "a document of this id is there that has no date as createdAt".to_owned();
    check(
        foreign,
        Some("E11000"),
        false,
        &Verdict::Settled(Upserted::Refused(why)),
    );
}

/// The largest document fits into a command alone: servers take 16 KiB more for one.
#[test]
fn what_is_around_the_largest_document_fits_beside_it() {
    let mut large = document(10);
    large.feedback_id = "\u{1f44d}".repeat(ID_BYTES_MAX / 4);
    large.text = Some("x".repeat(1_000));
    let encoded = encode(&large);
    let size = encoded.bson.as_bytes().len();
    let pending = Pending::alone(&large, encoded);
    let around = statement(&pending).as_bytes().len() - size;
    assert!(around <= ID_BYTES_MAX + STATEMENT_OVERHEAD, "{around}");
    assert!(around < 8_192, "{around}");
}
