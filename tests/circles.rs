//! The graph of imports: an edge from each file of `src` to each file that defines an item it names.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The files that each file imports.
type Graph = BTreeMap<String, BTreeSet<String>>;

/// Every module by its path.
type Modules = BTreeMap<Vec<String>, Module>;

/// A module that is a file.
struct Module {
    file: String,
    /// The names of its child modules, except those of tests.
    children: Vec<String>,
    uses: Vec<Use>,
    /// The paths in its code, `use` declarations excluded.
    paths: Vec<Vec<String>>,
}

/// One name that a `use` declaration brings in.
struct Use {
    path: Vec<String>,
    name: String,
    is_public: bool,
}

/// Every import that is part of a circle: the file that imports, and the file that imports it back, directly or through
/// others. A name that a module re-exports counts as the file that defines it; a re-export is no import itself.
pub(super) fn imports_in_circles(source: &Path) -> BTreeSet<(String, String)> {
    let mut modules = BTreeMap::new();
    load(source, &source.join("lib.rs"), &[], &mut modules);
    let graph: Graph =
        modules.iter().map(|(path, module)| (module.file.clone(), imports(path, module, &modules))).collect();
    let edges = graph.iter().flat_map(|(from, all)| all.iter().map(move |to| (from.clone(), to.clone())));
    edges.filter(|(from, to)| reaches(to, from, &graph)).collect()
}

/// Reads a file and those of the modules that it declares.
fn load(source: &Path, file: &Path, path: &[String], modules: &mut Modules) {
    let tokens = production(&tokens(&fs::read_to_string(file).unwrap()));
    let directory = match file.file_stem().unwrap().to_str().unwrap() {
        "mod" | "lib" => file.parent().unwrap().to_owned(),
        name => file.parent().unwrap().join(name),
    };
    let mut children = Vec::new();
    for declaration in tokens.windows(3).filter(|window| window[0] == "mod" && window[2] == ";") {
        let name = &declaration[1];
        let candidates = [directory.join(format!("{name}.rs")), directory.join(name).join("mod.rs")];
        let child: &PathBuf = candidates.iter().find(|file| file.exists()).unwrap();
        load(source, child, &[path, std::slice::from_ref(name)].concat(), modules);
        children.push(name.clone());
    }
    let (uses, paths) = names(&tokens);
    let file = file.strip_prefix(source).unwrap().to_str().unwrap().to_owned();
    modules.insert(path.to_owned(), Module { file, children, uses, paths });
}

/// The files that a module imports from.
fn imports(path: &[String], module: &Module, modules: &Modules) -> BTreeSet<String> {
    let in_code = |name: &String| module.paths.iter().any(|path| path.contains(name));
    // Child modules may use names that are imported here, so a parent imports only those that its code uses.
    let is_import = |used: &&Use| in_code(&used.name) || (!used.is_public && module.children.is_empty());
    let used = module.uses.iter().filter(is_import).map(|used| &used.path);
    let local = module.paths.iter().filter(|path| path.len() > 1);
    let found = used.chain(local).filter_map(|name| definition(path, name, modules, 0));
    found.filter(|file| *file != module.file).collect()
}

/// The file that defines the item of a path in the module `from`; none for items of other crates and local ones.
fn definition(from: &[String], name: &[String], modules: &Modules, depth: usize) -> Option<String> {
    assert!(depth < 20, "{from:?} imports {name:?} from itself");
    let mut at = from.to_vec();
    let mut rest = name;
    match rest.first()?.as_str() {
        "crate" => at.clear(),
        "self" => {}
        "super" => drop(at.pop()),
        first if modules[&at].children.iter().any(|child| child == first) => at.push(first.to_owned()),
        _ => return None,
    }
    rest = &rest[1..];
    while let [first, ..] = rest {
        if first == "super" {
            at.pop();
        } else if modules[&at].children.contains(first) {
            at.push(first.clone());
        } else {
            let reexport = modules[&at].uses.iter().find(|used| used.name == *first);
            return match reexport {
                Some(used) => definition(&at, &used.path, modules, depth + 1),
                None => Some(modules[&at].file.clone()),
            };
        }
        rest = &rest[1..];
    }
    Some(modules[&at].file.clone())
}

/// Whether a file imports another one, directly or through others.
fn reaches(from: &str, to: &str, graph: &Graph) -> bool {
    let (mut seen, mut next) = (BTreeSet::from([from]), vec![from]);
    while let Some(file) = next.pop() {
        next.extend(graph[file].iter().map(String::as_str).filter(|file| seen.insert(file)));
    }
    seen.contains(to)
}

/// The `use` declarations of a file, and the paths in the rest of its code.
fn names(tokens: &[String]) -> (Vec<Use>, Vec<Vec<String>>) {
    let (mut uses, mut paths) = (Vec::new(), Vec::new());
    let mut depth = 0_usize;
    let mut inline = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        match tokens[at].as_str() {
            "{" => depth += 1,
            "}" => {
                depth -= 1;
                inline.retain(|opened| *opened <= depth);
            }
            "mod" if tokens.get(at + 2).is_some_and(|token| token == "{") => {
                inline.push(depth + 1);
                at += 1;
            }
            "use" if tokens[at + 1] != "<" => {
                let end = at + tokens[at..].iter().position(|token| token == ";").unwrap();
                let is_public = at > 0 && (tokens[at - 1] == "pub" || tokens[at - 1] == ")");
                for (path, name) in tree(&tokens[at + 1..end], &[]) {
                    match of_file(&path, inline.len()) {
                        Some(path) if inline.is_empty() => uses.push(Use { path, name, is_public }),
                        path => paths.extend(path),
                    }
                }
                at = end;
            }
            // `pub(in super::super)` is a visibility.
            "in" if at > 1 && tokens[at - 1] == "(" && tokens[at - 2] == "pub" => {
                at += tokens[at..].iter().position(|token| token == ")").unwrap();
            }
            token if is_name(token) => {
                let mut path = vec![token.to_owned()];
                while let [separator, next, ..] = &tokens[at + 1..]
                    && separator == "::"
                    && is_name(next)
                {
                    path.push(next.clone());
                    at += 2;
                }
                paths.extend(of_file(&path, inline.len()));
            }
            _ => {}
        }
        at += 1;
    }
    (uses, paths)
}

/// A path in code within this many inline modules, as a path of the file; none if it stays within them.
fn of_file(path: &[String], inline: usize) -> Option<Vec<String>> {
    let supers = path.iter().take_while(|name| *name == "super").count();
    if inline == 0 || supers == 0 {
        return Some(path.to_vec());
    }
    let outside = &path[supers.min(inline)..];
    (supers >= inline && !outside.is_empty()).then(|| {
        let first = if supers == inline { vec!["self".to_owned()] } else { Vec::new() };
        [first.as_slice(), outside].concat()
    })
}

/// Every path of a `use` tree, with the name that it brings in.
fn tree(tokens: &[String], prefix: &[String]) -> Vec<(Vec<String>, String)> {
    let mut path = prefix.to_vec();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match token.as_str() {
            "{" => return branches(&tokens[at + 1..tokens.len() - 1], &path),
            "as" => return vec![(path, tokens[at + 1].clone())],
            "::" => {}
            "self" if !path.is_empty() => {}
            name => path.push(name.to_owned()),
        }
        at += 1;
    }
    let name = path.last().cloned().unwrap_or_default();
    vec![(path, name)]
}

fn branches(tokens: &[String], prefix: &[String]) -> Vec<(Vec<String>, String)> {
    let mut found = Vec::new();
    let (mut depth, mut begin) = (0, 0);
    for (at, token) in tokens.iter().enumerate() {
        match token.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            "," if depth == 0 => {
                found.extend(tree(&tokens[begin..at], prefix));
                begin = at + 1;
            }
            _ => {}
        }
    }
    if begin < tokens.len() {
        found.extend(tree(&tokens[begin..], prefix));
    }
    found
}

/// The tokens without the items that only tests have.
fn production(tokens: &[String]) -> Vec<String> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let is_test = ["test", "all ( test"].iter().any(|condition| {
            let start = format!("# [ cfg ( {condition}");
            let length = start.split(' ').count();
            tokens.len() >= at + length && tokens[at..at + length].join(" ") == start
        });
        if is_test {
            at = end_of_item(tokens, at);
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    kept
}

/// The index after an item: after its `;`, or after the `}` of its body.
fn end_of_item(tokens: &[String], start: usize) -> usize {
    let mut depth = 0_i32;
    for (at, token) in tokens.iter().enumerate().skip(start) {
        match token.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth -= 1,
            _ => {}
        }
        match (depth, token.as_str()) {
            (0, ";" | "}") => return at + 1,
            // The last field or variant of a type.
            (..0, _) => return at,
            _ => {}
        }
    }
    tokens.len()
}

fn is_name(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// Names, `::` and single characters; comments, strings and lifetimes are left out.
fn tokens(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if first.is_alphanumeric() || first == '_' {
            let length =
                rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(rest.len());
            let is_raw = matches!(&rest[..length], "r" | "br") && rest[length..].starts_with(['"', '#']);
            let hashes = rest[length..].chars().take_while(|letter| *letter == '#').count();
            if is_raw && rest[length + hashes..].starts_with('"') {
                let end = format!("\"{}", "#".repeat(hashes));
                let body = length + hashes + 1;
                body + rest[body..].find(&end).unwrap() + end.len()
            } else {
                found.push(rest[..length].to_owned());
                length
            }
        } else if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            found.push("::".to_owned());
            2
        } else if first == '"' {
            quoted(rest)
        } else if first == '\'' {
            literal_or_lifetime(rest)
        } else {
            if !first.is_whitespace() {
                found.push(first.to_string());
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    found
}

/// The length of a string with its quotes.
fn quoted(text: &str) -> usize {
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|(_, letter)| {
        let is_end = *letter == '"' && !escaped;
        escaped = *letter == '\\' && !escaped;
        is_end
    });
    end.unwrap().0 + 1
}

/// The length of `'x'`, `'\u{1b}'` or `'lifetime`.
fn literal_or_lifetime(text: &str) -> usize {
    let mut letters = text.char_indices().skip(1);
    let first = letters.next().map(|(_, letter)| letter);
    if first == Some('\\') {
        return 4 + text[3..].find('\'').unwrap();
    }
    match letters.next() {
        Some((at, '\'')) => at + 1,
        _ => 1 + text[1..].find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap(),
    }
}

#[test]
fn circles_are_found_in_every_form() {
    let source = tempfile::tempdir().unwrap();
    fs::create_dir_all(source.path().join("m/deep")).unwrap();
    for (file, text) in [
        ("lib.rs", "pub mod m;"),
        (
            "m/mod.rs",
            "mod a;\nmod b;\nmod c;\nmod d;\nmod deep;\npub use a::{A, First as Other};\npub(crate) use b::*;\nuse d::D;",
        ),
        (
            "m/a.rs",
            "use std::fmt;\nuse super::{\n    b,\n    c::C,\n};\npub struct A; // \"\nconst QUOTE: char = '\"';",
        ),
        // Through the re-export, in code.
        ("m/b.rs", "pub(in super::super) fn b<'a>(_: &'a str) -> super::Other { \"super::d::D\" }"),
        // Only a test imports `a`, and only a comment names it: crate::m::a::A.
        ("m/c.rs", "pub struct C;\n#[cfg(test)]\nmod tests {\n    use super::super::A;\n}"),
        ("m/d.rs", "mod inner {\n    use super::super::deep::E;\n    use super::Local;\n}\npub struct D;"),
        ("m/deep/mod.rs", "mod e;\npub use e::E;"),
        ("m/deep/e.rs", "use crate::m::d;\npub struct E(d::D);"),
    ] {
        fs::write(source.path().join(file), text).unwrap();
    }
    let found = imports_in_circles(source.path());
    let found: Vec<_> = found.iter().map(|(from, to)| format!("{from} {to}")).collect();
    assert_eq!(found, ["m/a.rs m/b.rs", "m/b.rs m/a.rs", "m/d.rs m/deep/e.rs", "m/deep/e.rs m/d.rs"]);
}
