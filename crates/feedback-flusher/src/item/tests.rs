use super::*;

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

/// Makes another case of a reply; the text is too long for an id.
type LongChange = fn(&mut FeedbackReply, &str);
type Change = fn(&mut FeedbackReply);
type Expected = Result<(), &'static str>;

fn rules() -> ItemRules {
    ItemRules {
        bytes_max: 1_000,
        urgent_agents: BTreeSet::from([AgentId::new("vip").expect("valid")]),
    }
}

fn origin() -> ItemOrigin {
    ItemOrigin {
        stream: "a topic".to_owned(),
        id: "1-0".to_owned(),
        attempts: 1,
    }
}

fn reply() -> FeedbackReply {
    FeedbackReply {
        agent_id: "7".to_owned(),
        room_id: "room".to_owned(),
        message_id: "m-1".to_owned(),
        user_id: "ann".to_owned(),
        text: "thanks".to_owned(),
        created_at: NOW,
        feedback_id: None,
        rating: Some("5".to_owned()),
        extra: vec![("lang".to_owned(), "en".to_owned())],
    }
}

fn reaction() -> FeedbackReaction {
    FeedbackReaction {
        agent_id: "7".to_owned(),
        room_id: "room".to_owned(),
        message_id: "m-1".to_owned(),
        user_id: "ann".to_owned(),
        reaction: "👍".to_owned(),
        created_at: NOW,
        feedback_id: None,
        extra: Vec::new(),
    }
}

fn item(feedback: &impl Feedback) -> Result<FeedbackItem, &'static str> {
    let item = rules().item(&feedback.given(), origin());
    item.map_err(|refusal| refusal.reason)
}

#[test]
fn a_message_keeps_everything_it_says() {
    let FeedbackItem {
        document,
        urgent,
        origin: from,
    } = item(&reply()).expect("an item");
    assert_eq!((urgent, from), (false, origin()));
    let expected = FeedbackDocument {
        feedback_id: reply_id("m-1"),
        agent_id: AgentId::new("7").expect("valid"),
        kind: FeedbackKind::Reply,
        room_id: "room".to_owned(),
        message_id: "m-1".to_owned(),
        user_id: "ann".to_owned(),
        text: Some("thanks".to_owned()),
        rating: Some("5".to_owned()),
        reaction: None,
        created_at: NOW,
        extra: vec![("lang".to_owned(), "en".to_owned())],
    };
    assert_eq!(document, expected);
    let document = item(&reaction()).expect("an item").document;
    let facts = (document.kind, document.text, document.rating);
    assert_eq!(facts, (FeedbackKind::Reaction, None, None));
    assert_eq!(document.reaction.as_deref(), Some("👍"));
    assert_eq!(document.feedback_id, reaction_id("m-1", "ann", "👍"));
}

#[test]
fn what_can_never_be_an_item_is_refused_with_its_reason() {
    let long = "x".repeat(201);
    let cases: [(LongChange, Expected); 11] = [
        (|reply, _| reply.agent_id.clear(), Err("invalid_agent_id")),
        (
            |reply, _| reply.agent_id = " ".to_owned(),
            Err("invalid_agent_id"),
        ),
        (
            |reply, _| reply.agent_id = "a\u{7}".to_owned(),
            Err("invalid_agent_id"),
        ),
        (
            |reply, long| reply.agent_id = long.to_owned(),
            Err("invalid_agent_id"),
        ),
        (
            |reply, long| reply.feedback_id = Some(long.to_owned()),
            Err("invalid_feedback_id"),
        ),
        (
            |reply, _| reply.feedback_id = Some("a\nb".to_owned()),
            Err("invalid_feedback_id"),
        ),
        (|reply, _| reply.feedback_id = Some(String::new()), Ok(())),
        (|reply, _| reply.message_id.clear(), Err("no_natural_id")),
        (
            |reply, _| reply.message_id = "a\u{1f}b".to_owned(),
            Err("no_natural_id"),
        ),
        (|reply, _| reply.created_at = UnixMillis(i64::MIN), Ok(())),
        (|reply, long| reply.message_id = long.to_owned(), Ok(())),
    ];
    for (number, (change, expected)) in cases.into_iter().enumerate() {
        let mut reply = reply();
        change(&mut reply, &long);
        assert_eq!(item(&reply).map(drop), expected, "case {number}");
    }
    let mut anonymous = reaction();
    anonymous.user_id.clear();
    assert_eq!(item(&anonymous).map(drop), Err("no_natural_id"));
    anonymous.feedback_id = Some("f-1".to_owned());
    let named = item(&anonymous).expect("an item");
    assert_eq!(named.document.feedback_id, "f-1");
}

#[test]
fn the_size_of_an_item_is_that_of_all_its_texts() {
    let mut reply = reply();
    reply.rating = None;
    let rest = reply.given().bytes() - reply.text.len();
    assert_eq!(rest, "7roomm-1annlangen".len());
    for (bytes, expected) in [
        (1_000 - rest, Ok(())),
        (1_001 - rest, Err("item_too_large")),
    ] {
        reply.text = "x".repeat(bytes);
        assert_eq!(item(&reply).map(drop), expected, "{bytes}");
    }
}

#[test]
fn items_are_urgent_by_mark_rating_reaction_or_agent() {
    let cases: [(Change, bool); 8] = [
        (|_| {}, false),
        (|reply| reply.agent_id = "vip".to_owned(), true),
        (|reply| reply.rating = Some("1".to_owned()), true),
        (|reply| reply.rating = None, false),
        (
            |reply| reply.extra.push(("urgent".to_owned(), "True".to_owned())),
            true,
        ),
        (
            |reply| reply.extra.push(("urgent".to_owned(), "false".to_owned())),
            false,
        ),
        (
            |reply| reply.extra.push(("priority".to_owned(), "HIGH".to_owned())),
            true,
        ),
        (
            |reply| reply.extra.push(("priority".to_owned(), "low".to_owned())),
            false,
        ),
    ];
    for (number, (change, expected)) in cases.into_iter().enumerate() {
        let mut reply = reply();
        change(&mut reply);
        let item = item(&reply).expect("an item");
        assert_eq!(item.urgent, expected, "case {number}");
        // A mark is also a field like any other.
        assert_eq!(item.document.extra, reply.extra);
    }
    let mut angry = reaction();
    angry.reaction = ":angry:".to_owned();
    assert!(item(&angry).expect("an item").urgent);
}
