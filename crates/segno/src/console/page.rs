//! Pages that a program adds to the console.

use std::borrow::Cow;

use crate::access::Role;

/// A page that a program adds to the console, with the console's frame, its sign-in and its policy around it.
///
/// Its script is an ES module that exports `show(view, context)`: `view` is the element to fill, `context` has `params` (the
/// segments of the address that the pattern names), `query` (a `URLSearchParams`), `signal` (aborted when the page is left) and
/// `title(text)`. It may import the console's own modules, which lie in the folder above it, such as `../dom.js`, `../api.js`
/// and `../parts.js`; they are no public interface and change with the console. The policy allows no address but this origin's
/// and no style or script in an element: what the page shows, it asks of this API, or of what the program
/// [serves](crate::Builder::serve) beside it.
///
/// ```
/// use segno::{ConsolePage, access::Role};
///
/// let list = ConsolePage::new("runs", "export function show(view) { view.append('hello'); }").menu("Runs");
/// let one = ConsolePage::new("runs/:id", "export function show(view, { params }) { view.append(params.id); }");
/// let costs = ConsolePage::new("costs", "export function show() {}").menu("Costs").role(Role::Admin);
/// let program = segno::Segno::builder().console_page(list).console_page(one).console_page(costs);
/// ```
#[derive(Clone, Debug)]
pub struct ConsolePage {
    pattern: Cow<'static, str>,
    script: Cow<'static, str>,
    label: Option<Cow<'static, str>>,
    role: Option<Role>,
}

impl ConsolePage {
    /// A page at the addresses below `/console` that fit this pattern, in which `:name` stands for any segment; those of the
    /// console's own pages stay theirs. `script` is its module.
    pub fn new(pattern: impl Into<Cow<'static, str>>, script: impl Into<Cow<'static, str>>) -> Self {
        Self {
            pattern: pattern.into(),
            script: script.into(),
            label: None,
            role: None,
        }
    }

    /// The same, in the menu under this name. Its pattern has no `:name` then.
    #[must_use]
    pub fn menu(mut self, label: impl Into<Cow<'static, str>>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// The same, in the menu only of who has this role or one that may do more. What the page may do is decided by what it
    /// asks for, as everywhere.
    #[must_use]
    pub fn role(mut self, role: Role) -> Self {
        self.role = Some(role);
        self
    }
}

/// What is served for added pages: the names of the files and what is in them.
pub(crate) fn added(pages: &[ConsolePage]) -> Vec<(String, String)> {
    if pages.is_empty() {
        return Vec::new();
    }
    let mut imports = String::from("// The pages that the program has added.\n\n");
    let mut list = String::from("\nexport const ADDED = [\n");
    let mut files = Vec::new();
    for (number, page) in pages.iter().enumerate() {
        imports.push_str(&format!(
            "import * as page{number} from \"./added/{number}.js\";\n"
        ));
        // JSON is JavaScript.
        let told = serde_json::json!({
            "pattern": page.pattern, "label": page.label, "key": null, "role": page.role.map(|role| role.to_string()),
        });
        list.push_str(&format!("  {{ ...{told}, show: page{number}.show }},\n"));
        files.push((format!("added/{number}.js"), page.script.clone().into_owned()));
    }
    list.push_str("];\n");
    files.push(("added.js".to_owned(), format!("{imports}{list}")));
    files
}
