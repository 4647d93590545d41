//! Errors: bad settings, dependencies that are down, and how to say what went wrong.

use common::Unavailable;

/// Settings that cannot be used: which one, and what is allowed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

/// The dependency that is down, if that is what an error comes from.
pub(crate) fn unavailable(error: &anyhow::Error) -> Option<&Unavailable> {
    error
        .chain()
        .find_map(|cause| cause.downcast_ref::<Unavailable>())
}

/// An error with its causes in one line. A cause that says the same as the error before it is left
/// out.
pub fn explain(error: &anyhow::Error) -> String {
    let mut texts: Vec<String> = error.chain().map(ToString::to_string).collect();
    texts.dedup();
    texts.join(": ")
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;
    use bus::BusError;

    use super::*;

    #[test]
    fn a_dependency_that_is_down_is_found_below_any_context() {
        let down = || Unavailable::new("redis", "connection refused");
        for error in [
            anyhow::Error::new(down()),
            anyhow::Error::new(BusError::from(down())),
            anyhow::Error::new(BusError::from(down()))
                .context("reading")
                .context("starting"),
        ] {
            assert!(unavailable(&error).is_some(), "{error:#}");
        }
        let other = Err::<(), _>(BusError::GroupGone("x".to_owned())).context("reading");
        assert!(other.is_err_and(|error| unavailable(&error).is_none()));
    }

    #[test]
    fn an_error_is_said_once() {
        let down = BusError::from(Unavailable::new("redis", "connection refused"));
        let text = explain(&anyhow::Error::new(down).context("starting"));
        assert_eq!(text, "starting: redis is unavailable: connection refused");
    }
}
