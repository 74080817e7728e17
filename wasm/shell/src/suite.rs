//! The storage driver suite, run over databases that JavaScript brings.

use reveille_core::store::suite::run;
use wasm_bindgen::prelude::*;

use crate::sql::{Database, JsSql};

#[wasm_bindgen]
extern "C" {
    /// Gives empty databases.
    pub type Shelf;

    #[wasm_bindgen(method)]
    fn fresh(this: &Shelf) -> Database;
}

/// Runs the suite, each check on a fresh database, and gives the names of the checks, a line each.
///
/// # Errors
/// The first check that failed, and how.
#[wasm_bindgen]
pub fn suite(shelf: &Shelf) -> Result<String, JsError> {
    run(|| JsSql::new(shelf.fresh())).map(|passed| passed.join("\n")).map_err(|problem| JsError::new(&problem))
}
