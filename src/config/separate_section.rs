//! The section `credentials` of a client's configuration. It is read apart from the rest of the file, so that an error in it costs
//! no database.

use super::tree::Tree;

/// The key of the section.
pub(super) const SECTION: &str = "credentials";

/// Empties the section: what its references name may be missing.
pub(super) fn empty(tree: &mut Tree) {
    if let Some(section) = find(tree) {
        *section = Tree::Null;
    }
}

/// Leaves the section only. Returns whether it has a value.
pub(super) fn keep_only(tree: &mut Tree) -> bool {
    if let Tree::Section(entries) = tree {
        entries.retain(|(key, _)| key == SECTION);
    }
    find(tree).is_some_and(|section| section.has_values())
}

fn find(tree: &mut Tree) -> Option<&mut Tree> {
    let Tree::Section(entries) = tree else { return None };
    entries.iter_mut().find(|(key, _)| key == SECTION).map(|(_, section)| section)
}
