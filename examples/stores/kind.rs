//! The kinds of sessions, and facts about each.

use std::str::FromStr;

/// Where the sessions are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Memory,
    Redis,
    Cookie,
    Postgres,
}

/// What a visitor should know about a kind of session.
pub struct Facts {
    /// Where the state lives.
    pub state: &'static str,
    /// What an attacker with a copy of the cookie can do.
    pub stolen: &'static str,
    /// What happens at logout.
    pub logout: &'static str,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Memory, Self::Redis, Self::Cookie, Self::Postgres];

    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Redis => "redis",
            Self::Cookie => "cookie",
            Self::Postgres => "postgres",
        }
    }

    pub fn facts(self) -> Facts {
        match self {
            Self::Memory => Facts {
                state: "In this process's memory. A restart loses it, and a second process can't see it.",
                stolen: "The cookie contains a key. A copy works until the logout, a restart, \
                    or 30 minutes without visits.",
                logout: "The session is removed from memory. From then on, every copy of the cookie is invalid.",
            },
            Self::Redis => Facts {
                state: "In Redis, under the key from the cookie. \
                    A copy of its data, together with the secret, gives access to all sessions.",
                stolen: "The cookie contains a key. A copy works until the logout, or 30 minutes without visits.",
                logout: "The session is deleted from Redis, and copies of the cookie are invalid. \
                    But a visit that is still running saves the session again, under a new key.",
            },
            Self::Cookie => Facts {
                state: "In the cookie itself, encrypted. The server stores nothing.",
                stolen: "The copy is a separate session. It works until the secret changes, \
                    because the server has no list of sessions and can't end one.",
                logout: "Only this browser's cookie is removed. Every copy still works, \
                    with the count that it had when it was copied.",
            },
            Self::Postgres => Facts {
                state: "In a row in PostgreSQL. The row has a hash of the key, so the table contains no valid keys.",
                stolen: "The cookie contains a key. A copy works until the logout, 30 minutes without visits, \
                    or 8 hours after the first visit.",
                logout: "The row is deleted. From then on, every copy of the cookie is invalid, \
                    and no visit that is still running brings the session back.",
            },
        }
    }
}

impl FromStr for Kind {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or(())
    }
}
