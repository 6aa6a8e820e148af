//! Holds the documentation and the examples against the code: what they name exists, and what they show is read
//! whole.

use std::{
    collections::BTreeSet,
    error::Error,
    fs, io, iter, mem,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::CommandFactory;
use futures::FutureExt;
use http_body_util::{BodyExt, Collected};
use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use test_invariants::Invariant;
use workspace_operator::{
    api::{
        ConditionStatus, ConditionType, IncarnationNumber, Workspace, WorkspaceClass,
        class_status::ClassConditionType, names,
    },
    cli::Cli,
    forbidden_env,
    registration::Answer,
};

type TestResult = Result<(), Box<dyn Error>>;

/// Programs whose flags are not ours.
const OTHERS: &[&str] = &["kubectl", "cargo", "make", "curl"];

/// What the headings of a class's conditions begin with.
const OF_CLASS: &str = "Class: ";

#[test]
fn the_page_of_conditions_has_exactly_the_rows_of_the_code() -> TestResult {
    let possible = ConditionType::ALL.iter().flat_map(|type_| rows(type_, type_.rows()));
    let is_of_workspace = |heading: &str| (!heading.starts_with(OF_CLASS)).then(|| heading.to_owned());
    assert_same_rows(&told_conditions(is_of_workspace)?, &possible.collect());
    Ok(())
}

#[test]
fn the_page_of_conditions_has_exactly_the_rows_of_classes() -> TestResult {
    let possible = ClassConditionType::ALL.iter().flat_map(|type_| rows(type_, type_.rows()));
    let of_class = |heading: &str| heading.strip_prefix(OF_CLASS).map(str::to_owned);
    assert_same_rows(&told_conditions(of_class)?, &possible.collect());
    Ok(())
}

/// Type, status and reason of a condition.
type Triple = [String; 3];

fn rows<R: ToString>(type_: &impl ToString, rows: &[(ConditionStatus, &[R])]) -> Vec<Triple> {
    let triple =
        |status: &ConditionStatus, reason: &R| [type_.to_string(), status.to_string(), reason.to_string()];
    rows.iter().flat_map(|(status, reasons)| reasons.iter().map(|reason| triple(status, reason))).collect()
}

/// The rows of the page, below the headings of which `type_of` makes the type of a condition.
fn told_conditions(type_of: impl Fn(&str) -> Option<String>) -> Result<Vec<Triple>, Box<dyn Error>> {
    let rows = read(Path::new("docs/conditions.md"))?.rows;
    Ok(rows
        .into_iter()
        .filter_map(|row| {
            assert!(row.cells.iter().all(|cell| !cell.is_empty()), "an empty cell: {:?}", row.cells);
            let type_ = type_of(&row.heading)?;
            let [status, reason, ..] = row.cells.as_slice() else { return Some(Default::default()) };
            Some([type_, status.clone(), reason.clone()])
        })
        .collect())
}

fn assert_same_rows(told: &[Triple], possible: &BTreeSet<Triple>) {
    let unique: BTreeSet<_> = told.iter().cloned().collect();
    assert_eq!(unique.len(), told.len(), "a row stands there twice");
    let missing: Vec<_> = possible.difference(&unique).collect();
    let invented: Vec<_> = unique.difference(possible).collect();
    assert!(missing.is_empty() && invented.is_empty(), "missing: {missing:?}; invented: {invented:?}");
}

#[test]
fn the_page_on_reliability_names_the_check_of_every_invariant() -> TestResult {
    let rows = read(Path::new("docs/reliability.md"))?.rows;
    let rows: Vec<_> = rows.into_iter().filter(|row| row.heading == "Always").collect();
    let told: Vec<_> = rows.iter().filter_map(|row| row.cells.first().cloned()).collect();
    assert_eq!(told, Invariant::ALL.map(|invariant| invariant.to_string()));
    for row in rows {
        let [invariant, _, check] = row.cells.as_slice() else { return Err("a row has three cells".into()) };
        let code = fs::read_to_string(format!("tests/invariants/src/checks/{check}"))?;
        let named = format!("Invariant::{invariant}");
        let is_named = code
            .match_indices(&named)
            .any(|(at, _)| !code[at + named.len()..].starts_with(|next: char| next.is_ascii_digit()));
        assert!(is_named, "{check} does not check {invariant}");
    }
    Ok(())
}

#[test]
fn the_page_on_registration_has_exactly_the_answers_of_the_code() -> TestResult {
    let told = read(Path::new("docs/registration.md"))?.rows;
    let told = told.into_iter().filter(|row| row.heading == "Answers").flat_map(|row| {
        let status = row.cells.first().cloned().unwrap_or_default();
        status.split(", ").map(str::to_owned).collect::<Vec<_>>()
    });
    let told: Vec<_> = told.filter(|status| status != "none").collect();
    let accepted = Answer::Accepted {
        workspace: String::new(),
        incarnation: IncarnationNumber(1),
        heartbeat: Duration::ZERO,
    };
    let possible = [
        accepted,
        Answer::Malformed(String::new()),
        Answer::Unauthorized,
        Answer::NotFound,
        Answer::MethodNotAllowed,
        Answer::RegisterFirst,
        Answer::Suspended,
        Answer::TooLarge,
        Answer::UnsupportedMediaType,
        Answer::TooMany { retry_after: Duration::ZERO },
        Answer::Unavailable,
    ];
    assert_eq!(told, possible.map(shown));
    Ok(())
}

/// An answer as the page names it: two with one status are told apart by their words.
fn shown(answer: Answer) -> String {
    let status = answer.status().as_u16();
    let body = answer.into_response().into_body().collect().now_or_never();
    let body = body.and_then(Result::ok).map(Collected::to_bytes).unwrap_or_default();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    match body["error"].as_str() {
        Some(error) if status == 409 => format!("{status} {error}"),
        _ => status.to_string(),
    }
}

/// Two lists of the same: the operator's is in its code, and a policy can't read that.
#[test]
fn the_policy_forbids_the_variables_that_the_operator_forbids() -> TestResult {
    let text = fs::read_to_string(root().join("deploy/policies/forbidden-env.yaml"))?;
    let objects: Vec<Value> = serde_saphyr::from_multiple(&text)?;
    let policy = objects
        .iter()
        .find(|object| {
            object["kind"] == "ValidatingAdmissionPolicy" && !object["spec"]["paramKind"].is_object()
        })
        .ok_or("no policy without a parameter")?;
    let list = policy["spec"]["variables"]
        .as_array()
        .and_then(|variables| variables.iter().find(|variable| variable["name"] == "forbidden"))
        .and_then(|variable| variable["expression"].as_str())
        .ok_or("no list")?;
    let of_policy: Vec<&str> = list.split('\'').skip(1).step_by(2).collect();
    assert_eq!(of_policy, forbidden_env::DEFAULT);
    Ok(())
}

#[test]
fn every_relative_link_leads_to_a_file_and_to_a_heading_in_it() -> TestResult {
    let mut broken = Vec::new();
    for page in pages()? {
        for link in page.links.iter().filter(|link| !link.target.contains("://")) {
            let (file, heading) = link.target.split_once('#').unwrap_or((&link.target, ""));
            let path = match file {
                "" => root().join(&page.path),
                file => root().join(page.path.parent().unwrap_or(Path::new(""))).join(file),
            };
            let leads = path.exists() && (heading.is_empty() || read(&path)?.has_heading(heading));
            if !leads {
                broken.push(format!("{}: {}", page.path.display(), link.target));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
    Ok(())
}

#[test]
fn every_promise_links_to_a_test_that_exists() -> TestResult {
    let is_rust = |path: &str| Path::new(path).extension().is_some_and(|extension| extension == "rs");
    let is_test = |link: &&Link| is_rust(&link.target) && is_identifier(&link.text);
    let mut broken = Vec::new();
    let mut count = 0;
    for page in pages()? {
        for link in page.links.iter().filter(is_test) {
            let path = root().join(page.path.parent().unwrap_or(Path::new(""))).join(&link.target);
            let code = fs::read_to_string(path).unwrap_or_default();
            count += 1;
            if !code.contains(&format!("fn {}(", link.text)) {
                broken.push(format!("{}: {} in {}", page.path.display(), link.text, link.target));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
    assert!(count > 0, "no promise links to a test");
    Ok(())
}

#[test]
fn every_flag_named_exists() -> TestResult {
    let known = known_flags();
    let mut unknown = Vec::new();
    for page in pages()? {
        for line in page.code.iter().flat_map(|code| code.text.lines()) {
            let invented = flags_of_ours(line).into_iter().filter(|flag| !known.contains(flag));
            unknown.extend(invented.map(|flag| format!("{}: --{flag}", page.path.display())));
        }
    }
    assert!(unknown.is_empty(), "{unknown:#?}");
    Ok(())
}

#[test]
fn every_manifest_is_read_whole() -> TestResult {
    let blocks = pages()?.into_iter().flat_map(|page| {
        let path = page.path.display().to_string();
        page.code
            .into_iter()
            .filter(|code| code.language == "yaml")
            .map(move |code| (path.clone(), code.text))
    });
    let mut manifests: Vec<(String, String)> = blocks.collect();
    for path in files(Path::new("examples"), "yaml")? {
        manifests.push((path.display().to_string(), fs::read_to_string(root().join(path))?));
    }
    let mut lost = Vec::new();
    let mut count = 0;
    for (place, text) in manifests {
        for document in text.split("\n---\n") {
            let given: Value =
                serde_saphyr::from_str(document).map_err(|error| format!("{place}: {error}"))?;
            let read = match given["kind"].as_str() {
                Some("Workspace") => round_trip::<Workspace>(&given),
                Some("WorkspaceClass") => round_trip::<WorkspaceClass>(&given),
                _ => continue,
            };
            count += 1;
            assert_eq!(given["apiVersion"], format!("{}/v1alpha1", names::GROUP), "{place}");
            compare(&place, &given, &read.map_err(|error| format!("{place}: {error}"))?, &mut lost);
        }
    }
    assert!(lost.is_empty(), "unknown or changed: {lost:#?}");
    assert!(count > 0, "there is no manifest");
    Ok(())
}

#[test]
fn the_readme_shows_the_example_of_eight_lines() -> TestResult {
    let readme = read(Path::new("README.md"))?;
    let shown = readme.code.iter().find(|code| code.language == "yaml").map(|code| code.text.as_str());
    let example = fs::read_to_string(root().join("examples/hello.yaml"))?;
    assert_eq!((shown, example.lines().count()), (Some(example.as_str()), 8));
    Ok(())
}

/// What a page of Markdown holds, as far as it is checked.
#[derive(Default)]
struct Page {
    path: PathBuf,
    headings: Vec<String>,
    links: Vec<Link>,
    /// Blocks and spans; a span has no language.
    code: Vec<Code>,
    rows: Vec<Row>,
    cells: Vec<String>,
}

struct Link {
    target: String,
    text: String,
}

struct Code {
    language: String,
    text: String,
}

/// A row of a table, below a heading.
struct Row {
    heading: String,
    cells: Vec<String>,
}

impl Page {
    fn close(&mut self, tag: Tag, text: String) {
        match tag {
            Tag::Heading { .. } => self.headings.push(text),
            Tag::Link { dest_url, .. } => self.links.push(Link { target: dest_url.into_string(), text }),
            Tag::CodeBlock(CodeBlockKind::Fenced(language)) => {
                self.code.push(Code { language: language.into_string(), text });
            }
            Tag::TableCell => self.cells.push(text),
            Tag::TableHead => self.cells.clear(),
            Tag::TableRow => {
                let heading = self.headings.last().cloned().unwrap_or_default();
                self.rows.push(Row { heading, cells: mem::take(&mut self.cells) });
            }
            _ => {}
        }
    }

    fn has_heading(&self, anchor: &str) -> bool {
        let anchor_of = |heading: &String| -> String {
            let kept = heading.to_lowercase().replace(' ', "-");
            kept.chars().filter(|c| c.is_alphanumeric() || *c == '-').collect()
        };
        self.headings.iter().any(|heading| anchor_of(heading) == anchor)
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn pages() -> io::Result<Vec<Page>> {
    let top = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(PathBuf::from);
    top.into_iter().chain(files(Path::new("docs"), "md")?).map(|path| read(&path)).collect()
}

/// Every file below `folder` whose name ends so, relative to the repository.
fn files(folder: &Path, extension: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root().join(folder))? {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            found.extend(files(&path, extension)?);
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn read(path: &Path) -> io::Result<Page> {
    let markdown = fs::read_to_string(root().join(path))?;
    let mut page = Page { path: path.to_owned(), ..Page::default() };
    let mut open: Vec<(Tag, String)> = Vec::new();
    for event in Parser::new_ext(&markdown, Options::ENABLE_TABLES) {
        let text = match event {
            Event::Start(tag) => {
                open.push((tag, String::new()));
                continue;
            }
            Event::End(_) => {
                if let Some((tag, text)) = open.pop() {
                    page.close(tag, text);
                }
                continue;
            }
            Event::Code(text) => {
                page.code.push(Code { language: String::new(), text: text.to_string() });
                text
            }
            Event::Text(text) => text,
            Event::SoftBreak => " ".into(),
            _ => continue,
        };
        for (_, inside) in &mut open {
            inside.push_str(&text);
        }
    }
    Ok(page)
}

fn is_identifier(text: &str) -> bool {
    text.contains('_') && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn known_flags() -> BTreeSet<String> {
    let mut command = Cli::command();
    command.build();
    iter::once(&command)
        .chain(command.get_subcommands())
        .flat_map(clap::Command::get_arguments)
        .filter_map(|argument| argument.get_long().map(str::to_owned))
        .collect()
}

/// The flags on a line that go to the operator. In prose a flag stands alone; behind another program's name it is
/// that program's, but for what `cargo run` passes on.
fn flags_of_ours(line: &str) -> Vec<String> {
    let line = line.trim_start_matches(['#', ' ']);
    let program = line.split_whitespace().next().unwrap_or_default();
    let ours = match line.split_once(" -- ") {
        Some((_, passed_on)) if program == "cargo" => passed_on,
        _ if OTHERS.contains(&program) => "",
        _ => line,
    };
    let name = |word: &str| -> Option<String> {
        let flag = word.trim_matches(['[', ']', '(', ')', '"']).strip_prefix("--")?;
        let name = flag.split(['=', ',', '.', ']']).next()?;
        name.starts_with(|c: char| c.is_ascii_lowercase()).then(|| name.to_owned())
    };
    ours.split_whitespace().filter_map(name).collect()
}

fn round_trip<K: DeserializeOwned + Serialize>(given: &Value) -> serde_json::Result<Value> {
    serde_json::to_value(serde_json::from_value::<K>(given.clone())?)
}

/// Notes what of `given` did not survive being read: serde drops unknown fields without a word.
fn compare(place: &str, given: &Value, read: &Value, lost: &mut Vec<String>) {
    match (given, read) {
        (Value::Object(given), Value::Object(read)) => {
            for (name, value) in given {
                compare(&format!("{place}.{name}"), value, read.get(name).unwrap_or(&Value::Null), lost);
            }
        }
        (Value::Array(given), Value::Array(read)) if given.len() == read.len() => {
            for (index, (given, read)) in given.iter().zip(read).enumerate() {
                compare(&format!("{place}[{index}]"), given, read, lost);
            }
        }
        _ if scalar(given) == scalar(read) => {}
        _ => lost.push(place.to_owned()),
    }
}

/// A quantity may be written as a number and is read as text.
fn scalar(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
