use super::*;

fn document() -> FeedbackDocument {
    FeedbackDocument {
        feedback_id: "r-1".to_owned(),
        agent_id: AgentId::new("7").expect("valid"),
        kind: FeedbackKind::Reply,
        room_id: "room".to_owned(),
        message_id: "m-1".to_owned(),
        user_id: "ann".to_owned(),
        text: Some("well done".to_owned()),
        rating: None,
        reaction: None,
        created_at: UnixMillis(1_795_176_000_123),
        extra: Vec::new(),
    }
}

fn with_extra(names: &[&str]) -> FeedbackDocument {
    let extra = names
        .iter()
        .map(|name| ((*name).to_owned(), "x".to_owned()));
    FeedbackDocument {
        extra: extra.collect(),
        ..document()
    }
}

/// Other bytes under the same id would be written again by every repeat.
#[test]
fn the_digest_of_a_document_never_changes() {
    let digest = encode(&with_extra(&["locale", "app"])).digest;
    assert_eq!(digest, "b0e57f8e-feee-5aa9-8248-ae4e5a366f8e");
}

#[test]
fn the_digest_depends_on_every_field() {
    let first = encode(&document()).digest;
    let other = |change: fn(&mut FeedbackDocument)| {
        let mut changed = document();
        change(&mut changed);
        assert_ne!(encode(&changed).digest, first, "{changed:?}");
    };
    other(|document| document.feedback_id.push('2'));
    other(|document| document.kind = FeedbackKind::Reaction);
    other(|document| document.room_id.push('2'));
    other(|document| document.message_id.push('2'));
    other(|document| document.user_id.push('2'));
    other(|document| document.text = None);
    other(|document| document.rating = Some(String::new()));
    other(|document| document.reaction = Some(String::new()));
    other(|document| document.created_at.0 += 1);
    other(|document| document.extra.push((String::new(), String::new())));
}

#[test]
fn every_document_reads_back() {
    for names in [
        &[][..],
        &["b", "a", "10", "9"],
        &["a", "a"],
        &["a.b"],
        &["$set"],
        &["a$b"],
        &[""],
        &["a\0b"],
        &["_id", "digest"],
    ] {
        let document = with_extra(names);
        assert_eq!(decode(&encode(&document).bson).expect("read"), document);
    }
    for millis in [i64::MIN, -1, 0, i64::MAX] {
        let document = FeedbackDocument {
            created_at: UnixMillis(millis),
            ..document()
        };
        assert_eq!(decode(&encode(&document).bson).expect("read"), document);
    }
}

#[test]
fn names_that_cannot_be_fields_make_a_list() {
    for (names, is_list) in [
        (&["a", "b"][..], false),
        (&["a", "a"], true),
        (&["a.b"], true),
        (&["$a"], true),
        (&[""], true),
        (&["a\0"], true),
    ] {
        let bson = encode(&with_extra(names)).bson;
        assert_eq!(
            bson.get("extraPairs").expect("BSON").is_some(),
            is_list,
            "{names:?}"
        );
        assert_eq!(
            bson.get("extra").expect("BSON").is_some(),
            !is_list,
            "{names:?}"
        );
    }
}

#[test]
fn what_is_no_document_of_ours_is_named() {
    for (bson, problem) in [
        (rawdoc! {}, "agentId"),
        (rawdoc! { "agentId": 7 }, "agentId"),
        (
            rawdoc! { "agentId": "7", "kind": "reply", "createdAt": 5_i64 },
            "createdAt",
        ),
        (
            rawdoc! { "agentId": "", "kind": "reply", "createdAt": DateTime::from_millis(5) },
            "an agentId that is empty",
        ),
        (
            rawdoc! { "agentId": "7", "kind": "applause", "createdAt": DateTime::from_millis(5) },
            "a kind that is none of",
        ),
    ] {
        let mut whole = bson;
        whole.append(cstr!("feedbackId"), "1");
        let failure = decode(&whole).expect_err(problem).to_string();
        assert!(failure.contains(problem), "{failure}");
        assert!(failure.starts_with("feedback holds"), "{failure}");
    }
}
