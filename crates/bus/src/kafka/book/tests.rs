use super::*;

fn id(major: u64) -> MessageId {
    MessageId {
        major,
        minor: 1 << 63,
    }
}

/// A book in which these offsets from 100 on were delivered.
fn delivered(offsets: impl IntoIterator<Item = i64>) -> Book {
    let mut book = Book::at(100);
    for offset in offsets {
        book.deliver(offset, id(5));
    }
    book
}

/// Every offset below the end is settled in one way, pending or untouched.
fn assert_conserved(book: &Book) {
    let Counts {
        done,
        dead,
        moved,
        holes,
        vanished,
    } = book.counts;
    let known = done + dead + moved + holes + vanished + book.pending() + book.untouched();
    assert_eq!(i64::try_from(known).unwrap(), book.end() - 100, "{book:?}");
}

#[test]
fn what_is_settled_in_any_order_stays_settled_and_the_floor_follows() {
    let mut book = delivered(100..110);
    for offset in [103, 101, 109] {
        assert!(book.settle(offset, Outcome::Done));
        assert!(!book.settle(offset, Outcome::Dead), "it counts once");
        assert_conserved(&book);
    }
    assert_eq!((book.floor(), book.end(), book.pending()), (100, 110, 7));
    assert!(book.settle(100, Outcome::Moved));
    assert_eq!((book.floor(), book.pending()), (102, 6));
    let open: Vec<i64> = book.delivered().map(|(offset, _)| offset).collect();
    assert_eq!(open, [102, 104, 105, 106, 107, 108]);
    for offset in open {
        book.settle(offset, Outcome::Dead);
        assert_conserved(&book);
    }
    assert_eq!((book.floor(), book.end()), (110, 110));
    assert_eq!((book.counts.done, book.counts.moved), (3, 1));
    assert!(!book.is_open(99) && !book.is_open(109) && book.is_open(110));
}

#[test]
fn a_delivery_says_how_often_and_whether_somebody_may_have_processed_it() {
    let mut book = delivered([100, 102]);
    book.repeat_until = 104;
    assert_eq!(book.next_delivery(100), (2, true));
    assert_eq!(book.next_delivery(101), (1, true));
    assert_eq!(book.next_delivery(104), (1, false));
    book.hand_back(100, 0);
    assert_eq!(
        book.next_delivery(100),
        (1, true),
        "an attempt may have begun"
    );
    book.hand_back(101, 0);
    assert_eq!(book.state(101), State::Untouched);
    assert_eq!(
        (book.pending(), book.in_hand(), book.untouched()),
        (2, 1, 1)
    );
}

#[test]
fn what_is_not_there_was_a_hole_or_has_vanished() {
    let mut book = delivered([100, 103]);
    book.pass_over(101, 106);
    assert_eq!((book.counts.holes, book.counts.vanished), (4, 1));
    assert_eq!((book.floor(), book.end()), (100, 106));
    assert_conserved(&book);
    book.settle(100, Outcome::Done);
    assert_eq!(book.floor(), 106);
}

#[test]
fn what_the_broker_deleted_is_counted_as_vanished_unless_it_was_settled() {
    let mut book = delivered(100..110);
    for offset in [101, 102, 106] {
        book.settle(offset, Outcome::Done);
    }
    book.begin_at(105);
    assert_eq!((book.counts.vanished, book.floor()), (3, 105));
    assert_conserved(&book);
    book.begin_at(106);
    assert_eq!((book.counts.vanished, book.floor()), (4, 107));
    book.begin_at(50);
    book.begin_at(200);
    assert_eq!((book.floor(), book.end()), (200, 200));
    assert_conserved(&book);
}

#[test]
fn nothing_is_noted_beyond_the_window() {
    let mut book = delivered([100]);
    assert!(book.has_room_for(100 + WINDOW - 1) && !book.has_room_for(100 + WINDOW));
    assert!(!book.settle(100 + WINDOW, Outcome::Done));
    book.pass_over(101, 100 + 2 * WINDOW);
    assert_eq!(book.end(), 100 + WINDOW);
}

/// The state of an offset.
type StateOf = fn(i64) -> u8;

#[test]
fn a_book_reads_back_and_fits_however_it_looks() {
    let full = |state: StateOf| Book {
        states: (0..WINDOW).map(state).collect(),
        counts: Counts {
            done: u64::MAX,
            dead: u64::MAX,
            moved: u64::MAX,
            holes: u64::MAX,
            vanished: u64::MAX,
        },
        holder: "ü".repeat(50),
        since_ms: i64::MAX,
        repeat_until: i64::MAX,
        recreated: u64::MAX,
        uncounted: true,
        oldest: MessageId::MAX,
        last: MessageId::MAX,
        ..Book::at(i64::MAX / 2)
    };
    let states: [StateOf; 4] = [
        |_| 200,
        |offset| u8::try_from(offset % 2).unwrap(),
        |offset| u8::try_from(offset * 7 % 15).unwrap(),
        |_| 0,
    ];
    for state in states {
        let book = full(state);
        let text = book.encode();
        assert!(text.len() <= 4_096, "{}", text.len());
        assert_eq!(Book::decode(book.floor(), &text), book);
    }
    let empty = Book::at(7);
    assert_eq!(Book::decode(7, &empty.encode()), empty);
}

#[test]
fn a_group_that_somebody_else_used_goes_on_where_it_is_without_counts() {
    for text in ["", "theirs", "1", "1%%%", "2AAAA", "1AAAA"] {
        let book = Book::decode(7, text);
        assert_eq!(
            (book.floor(), book.end(), book.uncounted),
            (7, 7, true),
            "{text}"
        );
    }
}
