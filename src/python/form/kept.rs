//! How long the files of a form stay open: until the answer was handed over, and what runs behind it is over.

use std::fmt;
use std::sync::Arc;

use super::Form;

/// Closes the files of a form when it is dropped.
#[derive(Clone)]
pub(in crate::python) struct Kept(#[expect(dead_code, reason = "it is there to be dropped")] Arc<Closing>);

struct Closing(Arc<Form>);

impl Kept {
    /// None where nothing is to be closed.
    pub(in crate::python) fn of(form: &Arc<Form>) -> Option<Self> {
        form.has_files().then(|| Self(Arc::new(Closing(form.clone()))))
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept")
    }
}
