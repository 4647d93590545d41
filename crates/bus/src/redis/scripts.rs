//! The Lua scripts, each in a file of its own beside the prelude that they share.

use std::sync::LazyLock;

use redis_link::Script;

macro_rules! scripts {
    ($($(#[$doc:meta])* $name:ident = $($part:literal),+;)*) => {
        $(
            $(#[$doc])*
            pub(crate) static $name: LazyLock<Script> = LazyLock::new(|| {
                let source = concat!(include_str!("lua/prelude.lua"), $(include_str!($part)),+);
                Script::new(stringify!($name), source)
            });
        )*
    };
}

scripts! {
    /// Creates a group where it is missing.
    OPEN_GROUP = "lua/open_group.lua";
    /// Claims and appends.
    PUBLISH_ONCE = "lua/claims.lua", "lua/publish_once.lua";
    /// Claims for what is published elsewhere.
    CLAIM_FOR = "lua/claims.lua", "lua/claim_for.lua";
    /// Says what became of what was claimed for.
    RESOLVE_CLAIMS = "lua/claims.lua", "lua/resolve_claims.lua";
    /// Says which names nobody has claimed.
    UNCLAIMED = "lua/unclaimed.lua";
    /// Acknowledges.
    FINISH = "lua/finish.lua";
    /// Acknowledges and appends what the messages caused.
    FINISH_WITH_OUTPUTS = "lua/claims.lua", "lua/finish_with_outputs.lua";
    /// Puts failed messages where retries wait.
    RETRY = "lua/retry.lua";
    /// Moves messages to the dead letters.
    DEAD = "lua/letters.lua", "lua/dead.lua";
    /// Writes letters of messages that were settled before.
    GIVE_UP_LATE = "lua/claims.lua", "lua/letters.lua", "lua/give_up_late.lua";
    /// Takes over pending messages.
    CLAIM = "lua/claim.lua";
    /// Renews leases.
    RENEW = "lua/renew.lua";
    /// Gives back messages that were not started.
    HAND_BACK = "lua/hand_back.lua";
    /// Removes consumers that own nothing.
    REMOVE_IDLE_CONSUMERS = "lua/remove_idle_consumers.lua";
    /// Records positions and removes finished messages.
    TRIM = "lua/trim.lua";
    /// Publishes dead letters again.
    REDRIVE = "lua/redrive.lua";
    /// Removes dead letters.
    DISCARD = "lua/discard.lua";
    /// Shows what is delivered and not settled.
    PENDING = "lua/pending.lua";
    /// Shows how far a group has come.
    SETTLED_UP_TO = "lua/settled_up_to.lua";
    /// Puts a topic aside for its move.
    PUT_ASIDE = "lua/put_aside.lua";
    /// Reads what a group has not settled of a stream that is put aside.
    UNSETTLED = "lua/unsettled.lua";
    /// Counts.
    OVERVIEW = "lua/overview.lua";
}
