//! The Lua scripts, each in a file of its own beside the prelude that they share.

use std::sync::LazyLock;

use redis_link::Script;

macro_rules! scripts {
    ($($(#[$doc:meta])* $name:ident = $file:literal;)*) => {
        $(
            $(#[$doc])*
            pub(super) static $name: LazyLock<Script> = LazyLock::new(|| {
                let source = concat!(include_str!("lua/prelude.lua"), include_str!($file));
                Script::new(stringify!($name), source)
            });
        )*
    };
}

scripts! {
    /// Adds items.
    ADD = "lua/add.lua";
    /// Takes the oldest items, or a flush that nobody works on.
    TAKE = "lua/take.lua";
    /// Renews a lease.
    RENEW = "lua/renew.lua";
    /// Gives a flush up for now.
    RELEASE = "lua/release.lua";
    /// Drops what was flushed.
    FINISH = "lua/finish.lua";
    /// Makes batches due.
    REQUEST = "lua/request.lua";
    /// Removes the entries of batches that are gone.
    FORGET = "lua/forget.lua";
}
