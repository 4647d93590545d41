//! Which feedback should not wait as long as other: what its sender marks, and what is negative.

use super::Given;

/// The best rating where a rating is a number alone; 1 is the worst.
const RATING_BEST: f64 = 5.0;
/// Up to this share of the best rating a rating is negative: 1 and 2 of 5.
const NEGATIVE_SHARE_MAX: f64 = 0.4;
/// Ratings in words that are negative.
const NEGATIVE_WORDS: [&str; 14] = [
    "angry",
    "awful",
    "bad",
    "dislike",
    "down",
    "horrible",
    "negative",
    "no",
    "not_helpful",
    "poor",
    "terrible",
    "thumbs_down",
    "unhelpful",
    "very_bad",
];
/// Reactions that are negative, by the names that chat services give them.
const NEGATIVE_REACTIONS: [&str; 14] = [
    "-1",
    "angry",
    "angry_face",
    "bad",
    "dislike",
    "down",
    "downvote",
    "enraged",
    "negative",
    "pouting_face",
    "rage",
    "thumbs_down",
    "thumbsdown",
    "unhelpful",
];
/// Negative emoji.
const NEGATIVE_EMOJI: [char; 6] = ['👎', '😠', '😡', '🤬', '😞', '💩'];
/// What follows an emoji without changing what it says: skin tones and the emoji variation.
const MODIFIERS: [char; 6] = [
    '\u{1f3fb}',
    '\u{1f3fc}',
    '\u{1f3fd}',
    '\u{1f3fe}',
    '\u{1f3ff}',
    '\u{fe0f}',
];
/// Longer texts are no marks.
const MARK_BYTES_MAX: usize = 64;

/// Whether the sender marks it as urgent, or it is negative.
pub(super) fn is_urgent(given: &Given<'_>) -> bool {
    let marked = given.extra.iter().any(|(name, value)| {
        let value = value.trim();
        match name.as_str() {
            "urgent" => value.eq_ignore_ascii_case("true"),
            "priority" => ["urgent", "high"]
                .iter()
                .any(|mark| value.eq_ignore_ascii_case(mark)),
            _ => false,
        }
    });
    marked
        || given.rating.is_some_and(is_negative_rating)
        || given.reaction.is_some_and(is_negative_reaction)
}

/// A number is one of 1 to 5 unless it names its scale, as `3/10` does.
fn is_negative_rating(rating: &str) -> bool {
    let (value, best) = match rating.split_once('/') {
        Some((value, best)) => (number(value), number(best)),
        None => (number(rating), Some(RATING_BEST)),
    };
    match (value, best) {
        (Some(value), Some(best)) => value < 0.0 || value <= best * NEGATIVE_SHARE_MAX,
        _ => is_one_of(rating, &NEGATIVE_WORDS),
    }
}

fn is_negative_reaction(reaction: &str) -> bool {
    is_one_of(reaction, &NEGATIVE_REACTIONS)
}

fn number(text: &str) -> Option<f64> {
    let number: f64 = text.trim().parse().ok()?;
    number.is_finite().then_some(number)
}

/// Whether a text is one of the words, however it is written, or a negative emoji.
fn is_one_of(text: &str, words: &[&str]) -> bool {
    if text.len() > MARK_BYTES_MAX {
        return false;
    }
    let plain: String = text
        .trim()
        .trim_matches(':')
        .chars()
        .filter(|letter| !MODIFIERS.contains(letter))
        .map(|letter| match letter {
            ' ' => '_',
            other => other.to_ascii_lowercase(),
        })
        .collect();
    let mut letters = plain.chars();
    let emoji = letters
        .next()
        .is_some_and(|letter| NEGATIVE_EMOJI.contains(&letter));
    (emoji && letters.next().is_none()) || words.contains(&plain.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratings_are_negative_by_number_word_or_emoji() {
        for (rating, expected) in [
            ("1", true),
            ("2", true),
            ("2.0", true),
            ("-3", true),
            ("0", true),
            ("3", false),
            ("5", false),
            ("4/10", true),
            ("5/10", false),
            ("2/5", true),
            (" Negative ", true),
            ("BAD", true),
            ("poor", true),
            ("Thumbs down", true),
            ("👎", true),
            ("👎🏽", true),
            ("👍", false),
            ("good", false),
            ("", false),
            ("NaN", false),
            ("inf", false),
            ("not bad", false),
            ("👎👎", false),
        ] {
            assert_eq!(is_negative_rating(rating), expected, "{rating:?}");
        }
    }

    #[test]
    fn reactions_are_negative_by_name_or_emoji() {
        for (reaction, expected) in [
            ("thumbs_down", true),
            (":thumbsdown:", true),
            ("-1", true),
            (":-1:", true),
            ("👎🏿", true),
            ("Angry", true),
            ("😡", true),
            ("+1", false),
            ("1", false),
            ("heart", false),
            ("❤️", false),
            ("", false),
        ] {
            assert_eq!(is_negative_reaction(reaction), expected, "{reaction:?}");
        }
    }
}
