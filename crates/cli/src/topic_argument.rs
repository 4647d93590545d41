//! The name of a topic on the command line.

use common::topics::{self, TopicInfo};

/// The topic of that name, or which there are.
pub(crate) fn parse(name: &str) -> Result<TopicInfo, String> {
    topics::find(name).copied().ok_or_else(|| {
        let names: Vec<&str> = topics::ALL.iter().map(|topic| topic.name).collect();
        format!("allowed are {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_taken_by_name_only() {
        assert!(parse("events.raw").is_ok());
        assert!(parse("events").is_err_and(|text| text.contains("events.normalized")));
    }
}
