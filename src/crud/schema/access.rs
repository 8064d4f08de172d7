//! What clients may do with a field.

/// What clients may do with a field of a row.
///
/// A `PUT` that leaves out a field that is not [`ReadWrite`](Self::ReadWrite) keeps what the row has, so that a row which was read can
/// be sent back as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Access {
    /// See it and set it.
    #[default]
    ReadWrite,
    /// See it. The server sets it; what the row has may be sent back.
    ReadOnly,
    /// See it, and set it when they make the row. What the row has may be sent back.
    Immutable,
    /// Set it. It is in no answer, and nothing is filtered or sorted by it.
    WriteOnly,
    /// Nothing: for them there is no such field.
    Hidden,
}

impl Access {
    /// Whether clients see it.
    pub const fn is_shown(self) -> bool {
        !matches!(self, Self::WriteOnly | Self::Hidden)
    }

    /// Whether clients know of it.
    pub const fn is_known(self) -> bool {
        !matches!(self, Self::Hidden)
    }

    /// Whether clients set it when they make a row.
    pub const fn is_settable(self) -> bool {
        !matches!(self, Self::ReadOnly | Self::Hidden)
    }

    /// Whether clients see what they cannot change.
    pub const fn is_fixed(self) -> bool {
        matches!(self, Self::ReadOnly | Self::Immutable)
    }

    /// Whether the row keeps it when a `PUT` leaves it out.
    pub const fn is_kept(self) -> bool {
        !matches!(self, Self::ReadWrite)
    }
}
