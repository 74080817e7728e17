//! What runners and entities are called.

/// A runner, by its number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Runner(pub(crate) u64);

impl Runner {
    pub(crate) fn id(self) -> String {
        format!("fleet-{}", self.0)
    }

    /// Its owner, who owns nothing else but its entities.
    pub(crate) fn principal(self) -> String {
        format!("user:fleet-{}", self.0)
    }
}

/// The path at which an entity is made, sent to and shown.
pub(crate) fn entity(n: u64) -> String {
    format!("/_electric/entities/{TYPE}/{n}")
}

/// The type of the entities.
pub(crate) const TYPE: &str = "fleet";
