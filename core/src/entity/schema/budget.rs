//! What one command may spend on schemas, in steps: a schema applied to a value is one.

use crate::limits::CHECK;

/// How many steps are left.
#[derive(Debug)]
pub(in crate::entity) struct Budget {
    steps: usize,
}

/// More than we are ready to look at.
#[derive(Debug)]
pub(super) struct TooMuch;

impl Default for Budget {
    fn default() -> Self {
        Self { steps: CHECK }
    }
}

impl Budget {
    pub(super) fn spend(&mut self, steps: usize) -> Result<(), TooMuch> {
        self.steps = self.steps.checked_sub(steps).ok_or(TooMuch)?;
        Ok(())
    }
}
