//! Options that do not fit the files that they are about.

/// Bad use of the program: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadUse(pub String);
