//! The shape of the source: what CONTRIBUTING.md says of it is so, dependencies point down, and no files import
//! each other in a circle.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// A module's path below the crate, or a path as code writes it.
type Names = Vec<String>;

/// A module, in a file of its own or within another's; tests are left out.
#[derive(Debug, Default)]
struct Module {
    file: PathBuf,
    /// The module that the file as a whole is.
    home: Names,
    /// The modules that it declares.
    children: BTreeSet<String>,
    /// What else it defines.
    items: BTreeSet<String>,
    /// The names that `use` brings in, and where from.
    imports: BTreeMap<String, Names>,
    /// The names that it only passes on with `pub use`, and where from.
    passed_on: BTreeMap<String, Names>,
    /// The modules whose names it takes all.
    globs: Vec<Names>,
    /// The paths that its code names.
    paths: BTreeSet<Names>,
}

/// What a path stands for.
enum Named {
    Item(Names),
    Module,
    /// A name of a dependency, a local name.
    Outside,
}

/// The crate, its modules by their paths.
#[derive(Debug, Default)]
struct House(BTreeMap<Names, Module>);

impl House {
    /// Reads `src` from its lib.rs down.
    fn read(src: &Path) -> Self {
        let mut house = Self::default();
        house.enter(&src.join("lib.rs"), src, &[]);
        house
    }

    /// `folder` is where the files of the module's children lie.
    fn enter(&mut self, file: &Path, folder: &Path, at: &[String]) {
        let text = fs::read_to_string(file)
            .unwrap_or_else(|error| panic!("cannot read {}: {error}", file.display()));
        let tokens = text.parse().unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        self.scan(tokens, file, at, at, true);
        for child in self.0[at].children.clone() {
            let within = join(at, &child);
            if self.0.contains_key(&within) {
                continue;
            }
            let (flat, inner) = (folder.join(format!("{child}.rs")), folder.join(&child));
            let file = if flat.is_file() { flat } else { inner.join("mod.rs") };
            self.enter(&file, &inner, &within);
        }
    }

    /// `outermost`: whether the tokens are a module's own and not within a function or a type of it.
    fn scan(
        &mut self,
        tokens: TokenStream,
        file: &Path,
        home: &[String],
        at: &[String],
        outermost: bool,
    ) {
        let tokens: Vec<_> = tokens.into_iter().collect();
        let module = self.0.entry(at.to_vec()).or_default();
        (module.file, module.home) = (file.to_owned(), home.to_vec());
        let mut inner = Vec::new();
        let (mut i, mut public) = (0, false);
        while let Some(token) = tokens.get(i) {
            match token {
                TokenTree::Punct(sign) if sign.as_char() == '#' && is_test(tokens.get(i + 1)) => {
                    while tokens.get(i).is_some_and(|token| !ends_item(token)) {
                        i += 1;
                    }
                    i += 1;
                }
                TokenTree::Ident(word) if *word == "pub" => {
                    let scoped = group(tokens.get(i + 1), Delimiter::Parenthesis).is_some();
                    (i, public) = (i + 1 + usize::from(scoped), true);
                }
                TokenTree::Ident(word) if *word == "use" && starts_tree(tokens.get(i + 1)) => {
                    let end = |token| is_sign(Some(token), ';');
                    let length = tokens[i..].iter().position(end).expect("an end of the use");
                    let mut names = Vec::new();
                    used(&tokens[i + 1..i + length], &[], &mut names);
                    for (name, path) in names {
                        if name == "*" {
                            module.globs.push(path.clone());
                            module.paths.extend((!public).then(|| join(&path, "*")));
                        } else if public {
                            module.passed_on.insert(name, path);
                        } else {
                            module.paths.insert(path.clone());
                            module.imports.insert(name, path);
                        }
                    }
                    (i, public) = (i + length + 1, false);
                }
                TokenTree::Ident(word) if outermost && defines(&word.to_string()) => {
                    public = false;
                    let name = ident(tokens.get(i + 1));
                    let body = group(tokens.get(i + 2), Delimiter::Brace);
                    match (name, *word == "mod") {
                        (Some(name), true) => {
                            module.children.insert(name.clone());
                            inner.extend(body.map(|body| (body, Some(name))));
                            i += 3;
                        }
                        (Some(name), false) => {
                            module.items.insert(name);
                            i += 2;
                        }
                        (None, _) => i += 1,
                    }
                }
                TokenTree::Ident(word) => {
                    let mut path = vec![word.to_string()];
                    let field = i > 0 && is_sign(tokens.get(i - 1), '.');
                    i += 1;
                    while is_sign(tokens.get(i), ':')
                        && is_sign(tokens.get(i + 1), ':')
                        && let Some(name) = ident(tokens.get(i + 2))
                    {
                        path.push(name);
                        i += 3;
                    }
                    module.paths.extend((!field).then_some(path));
                }
                TokenTree::Group(group) => {
                    inner.push((group.stream(), None));
                    i += 1;
                }
                _ => i += 1,
            }
        }
        for (tokens, name) in inner {
            match name {
                Some(name) => self.scan(tokens, file, home, &join(at, &name), true),
                None => self.scan(tokens, file, home, at, false),
            }
        }
    }

    /// What a path stands for that `from` writes: names are followed to the module that defines them.
    fn find(&self, from: &[String], path: &[String], steps: usize) -> Named {
        assert!(steps < 50, "{} goes round in {}", path.join("::"), from.join("::"));
        let module = &self.0[from];
        let mut rest = path;
        let mut at = from.to_vec();
        match path[0].as_str() {
            "crate" => (at, rest) = (Vec::new(), &path[1..]),
            "self" => rest = &path[1..],
            "super" => {
                while rest.first().is_some_and(|name| name == "super") {
                    at.pop();
                    rest = &rest[1..];
                }
            }
            name if module.children.contains(name) => {}
            name => match module.imports.get(name).or_else(|| module.passed_on.get(name)) {
                Some(source) if source[0] == name => return Named::Outside,
                Some(source) => return self.find(from, &[source, &path[1..]].concat(), steps + 1),
                None => return Named::Outside,
            },
        }
        while let Some(name) = rest.first() {
            let Some(module) = self.0.get(&at) else { return Named::Outside };
            // A function may have the name of the module that it comes from.
            let inner = module.children.contains(name) && rest.len() > 1;
            let source = module.passed_on.get(name).or_else(|| module.imports.get(name));
            if let Some(source) = source.filter(|_| !inner) {
                return self.find(&at, &[source, &rest[1..]].concat(), steps + 1);
            }
            if !module.children.contains(name) {
                let named = |glob: &Names| self.find(&at, &[glob, rest].concat(), steps + 1);
                let mut globs =
                    module.globs.iter().filter(|_| !module.items.contains(name)).map(named);
                // What a macro defines is in no list of items.
                let item = globs.find(|found| matches!(found, Named::Item(_)));
                return item.unwrap_or(Named::Item(at));
            }
            at.push(name.clone());
            rest = &rest[1..];
        }
        Named::Module
    }

    /// Which file takes something from which other, as modules.
    fn arrows(&self) -> BTreeSet<(&Names, &Names)> {
        let mut arrows = BTreeSet::new();
        for (from, module) in &self.0 {
            for path in &module.paths {
                if let Named::Item(to) = self.find(from, path, 0) {
                    arrows.insert((&module.home, &self.0[&to].home));
                }
            }
        }
        arrows.retain(|(from, to)| from != to);
        arrows
    }

    /// The circles, each with all its members.
    ///
    /// A file may take from the module that it lies in what all in that folder share, its errors most of all,
    /// although that module calls it. Any other two files are each other's neighbours.
    fn circles(&self) -> BTreeSet<BTreeSet<PathBuf>> {
        let mut next: BTreeMap<&Names, Vec<&Names>> = BTreeMap::new();
        for (from, to) in self.arrows().into_iter().filter(|(from, to)| !from.starts_with(to)) {
            next.entry(from).or_default().push(to);
        }
        let mut reached: BTreeMap<&Names, BTreeSet<&Names>> = BTreeMap::new();
        for from in next.keys() {
            let (mut seen, mut left) = (BTreeSet::new(), vec![*from]);
            while let Some(here) = left.pop() {
                left.extend(next.get(here).into_iter().flatten().filter(|to| seen.insert(**to)));
            }
            reached.insert(from, seen);
        }
        let mut circles = BTreeSet::new();
        for (from, seen) in reached.iter().filter(|(from, seen)| seen.contains(*from)) {
            let back = |to: &&&Names| reached.get(*to).is_some_and(|seen| seen.contains(from));
            circles.insert(seen.iter().filter(back).map(|to| self.file(to)).collect());
        }
        circles
    }

    /// A module's file as the repository has it.
    fn file(&self, module: &Names) -> PathBuf {
        let file = &self.0[module].file;
        file.strip_prefix(root()).unwrap_or(file).to_owned()
    }
}

fn join(path: &[String], name: &str) -> Names {
    path.iter().cloned().chain([name.to_owned()]).collect()
}

fn ident(token: Option<&TokenTree>) -> Option<String> {
    match token {
        Some(TokenTree::Ident(word)) => Some(word.to_string()),
        _ => None,
    }
}

fn is_sign(token: Option<&TokenTree>, sign: char) -> bool {
    matches!(token, Some(TokenTree::Punct(found)) if found.as_char() == sign)
}

fn group(token: Option<&TokenTree>, delimiter: Delimiter) -> Option<TokenStream> {
    match token {
        Some(TokenTree::Group(group)) if group.delimiter() == delimiter => Some(group.stream()),
        _ => None,
    }
}

fn is_test(attribute: Option<&TokenTree>) -> bool {
    group(attribute, Delimiter::Bracket).is_some_and(|tokens| tokens.to_string() == "cfg (test)")
}

fn ends_item(token: &TokenTree) -> bool {
    is_sign(Some(token), ';') || group(Some(token), Delimiter::Brace).is_some()
}

/// Not so the `use<'_>` of a bound.
fn starts_tree(token: Option<&TokenTree>) -> bool {
    token.is_some() && !is_sign(token, '<')
}

fn defines(word: &str) -> bool {
    ["const", "enum", "fn", "mod", "static", "struct", "trait", "type", "union"].contains(&word)
}

/// The names that a `use` brings in and the path of each; `*` for all.
fn used(tree: &[TokenTree], prefix: &[String], names: &mut Vec<(String, Names)>) {
    for branch in tree.split(|token| is_sign(Some(token), ',')) {
        let (mut path, mut name) = (prefix.to_vec(), None);
        let mut tokens = branch.iter();
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Ident(word) if *word == "as" => name = ident(tokens.next()),
                TokenTree::Ident(word) if *word == "self" && !path.is_empty() => {}
                TokenTree::Ident(word) => path.push(word.to_string()),
                TokenTree::Punct(sign) if sign.as_char() == '*' => name = Some("*".to_owned()),
                TokenTree::Group(group) => {
                    used(&group.stream().into_iter().collect::<Vec<_>>(), &path, names);
                    path.clear();
                }
                _ => {}
            }
        }
        if let Some(last) = path.last().filter(|_| !branch.is_empty()) {
            names.push((name.unwrap_or_else(|| last.clone()), path));
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The picture in CONTRIBUTING.md: the floors from the top, and what is on each.
fn floors(contributing: &str) -> Vec<Vec<String>> {
    let (_, picture) = contributing.split_once("Dependencies point one way: `").expect("a picture");
    let (picture, _) = picture.split_once('`').expect("an end of the picture");
    picture
        .split('→')
        .map(|floor| {
            let names = floor.split(|sign: char| !sign.is_ascii_alphanumeric() && sign != '_');
            names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
        })
        .collect()
}

fn contributing() -> String {
    fs::read_to_string(root().join("CONTRIBUTING.md")).expect("CONTRIBUTING.md")
}

#[test]
fn contributing_shows_every_room_once() {
    let house = House::read(&root().join("src"));
    let rooms: Vec<_> = house.0[&Vec::new()].children.iter().cloned().collect();
    let contributing = contributing();
    let mut pictured = floors(&contributing).concat();
    pictured.sort();
    assert_eq!(pictured, rooms, "what the picture of dependencies shows, and src/lib.rs");

    let tree = contributing.lines().filter_map(|line| line.strip_prefix("    "));
    let entries = tree.filter_map(|line| line.split_whitespace().next());
    let (mut listed, mut missing) = (Vec::new(), Vec::new());
    for path in entries.filter(|path| path.contains('/')) {
        if !root().join(path).exists() {
            missing.push(path);
        }
        if let Some(room) = path.strip_prefix("src/") {
            listed.push(room.trim_end_matches('/').trim_end_matches(".rs").to_owned());
        }
    }
    listed.sort();
    assert_eq!(listed, rooms, "what the tree lists, and src/lib.rs");
    assert!(missing.is_empty(), "the tree lists what is not there: {missing:?}");
}

#[test]
fn dependencies_point_down() {
    let house = House::read(&root().join("src"));
    let floors = floors(&contributing());
    let floor = |room: &String| floors.iter().position(|rooms| rooms.contains(room));
    let up: Vec<_> = house
        .arrows()
        .into_iter()
        .filter(|(from, to)| from.first() != to.first())
        .filter(|(from, to)| floor(&from[0]) >= floor(&to[0]))
        .map(|(from, to)| format!("{} takes something from {}", from.join("::"), to.join("::")))
        .collect();
    assert!(up.is_empty(), "against the picture in CONTRIBUTING.md:\n{}", up.join("\n"));
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let house = House::read(&root().join("src"));
    assert_eq!(house.circles(), BTreeSet::new(), "files that import each other in a circle");
}

#[test]
fn a_circle_is_found_whatever_way_it_goes() {
    let folder = tempfile::tempdir().expect("a folder");
    for (file, text) in [
        ("lib.rs", "pub mod room; pub mod other { pub use crate::room::a::A as Renamed; }"),
        (
            "room/mod.rs",
            "mod a; mod b; mod c; mod d; mod e; pub use b::*; pub enum Error {} fn all() { a::A; e::E }",
        ),
        (
            "room/a.rs",
            "use super::{Error, B}; pub struct A; #[cfg(test)] mod tests { use super::super::e::E; }",
        ),
        ("room/b.rs", "pub struct B; mod inner { fn f() { vec![super::super::c::C::new()]; } }"),
        ("room/c.rs", "use {super::d, std::fmt}; pub struct C; impl C { fn f() -> d::D {} }"),
        ("room/d.rs", "pub struct D; fn f(_: impl Fn(crate::other::Renamed)) {}"),
        (
            "room/e.rs",
            "//! use super::a::A;\nuse super::{Error, a::A}; pub struct E; // super::b::B",
        ),
    ] {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(path, text).expect("written");
    }
    let house = House::read(folder.path());
    let circle = ["a", "b", "c", "d"].map(|name| folder.path().join(format!("room/{name}.rs")));
    assert_eq!(house.circles(), BTreeSet::from([BTreeSet::from(circle)]));
}
