//! The host's last word on who may do what, asked across the boundary: one question is one call.
//!
//! [`Authorise`] wants an answerer that may be sent between threads, and nothing of JavaScript may be. So what JavaScript
//! gave stays with the thread, of which an instance has one, and the answerer knows its number.

use std::cell::RefCell;
use std::rc::Rc;

use reveille_core::permission::{Authorise, Question, Resource};
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// Who has the last word: what `Authoriser` of `npm/authorise.js` makes for a tenant. It never throws.
    pub type Authoriser;

    /// Whether `principal` may do what needs `permission` with the resource of a `kind` that `id` names; nothing leaves
    /// what is `decided`.
    #[wasm_bindgen(method)]
    fn says(this: &Authoriser, principal: &str, permission: &str, kind: &str, id: &str, decided: bool) -> Option<bool>;
}

thread_local! {
    static AUTHORISERS: RefCell<Vec<Rc<Authoriser>>> = const { RefCell::new(Vec::new()) };
}

/// Has `authoriser` asked.
pub(crate) fn authorise(authoriser: Authoriser) -> Authorise {
    let number = AUTHORISERS.with_borrow_mut(|all| {
        all.push(Rc::new(authoriser));
        all.len() - 1
    });
    Authorise::new(move |&Question { by, permission, resource, decided }| {
        let authoriser = AUTHORISERS.with_borrow(|all| Rc::clone(&all[number]));
        let (kind, id) = parts(resource);
        authoriser.says(&by.to_string(), permission.as_str(), kind, id, decided)
    })
}

fn parts(resource: Resource<'_>) -> (&'static str, &str) {
    match resource {
        Resource::Entity(url) => ("entity", url),
        Resource::EntityType(name) => ("entity_type", name),
        Resource::Registration(name) => ("registration", name),
        Resource::SharedState(id) => ("shared_state", id),
    }
}
