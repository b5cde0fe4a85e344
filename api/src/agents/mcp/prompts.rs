//! Prompts for common jobs. The note or workspace that a prompt is about is embedded as a resource, so that clients can show it.

use std::fmt::Write as _;

use projections::Where;
use projections::knowledge::note::Notes;
use rmcp::ErrorData;
use rmcp::model::{
    ContentBlock, GetPromptRequestParams, GetPromptResult, Prompt, PromptArgument, PromptMessage,
    Role,
};
use uuid::Uuid;

use super::context::Context;
use super::resources;
use crate::query::Page;

/// Maximum number of notes of a workspace in a prompt.
const LISTED: usize = 100;

/// The subject of a prompt.
#[derive(Clone, Copy, PartialEq, Eq)]
enum About {
    Note,
    Workspace,
}

struct Job {
    name: &'static str,
    title: &'static str,
    description: &'static str,
    about: About,
    text: &'static str,
}

const JOBS: [Job; 5] = [
    Job {
        name: "summarise_note",
        title: "Summarise a note",
        description: "A summary of a note, proposed as its first paragraph.",
        about: About::Note,
        text: "Summarise the note in three sentences at most, in its own language. Then call propose_changes with one note.revise \
               action that puts the summary in front of the body, on the version that you were given, and say in the rationale what \
               you left out.",
    },
    Job {
        name: "extract_tasks",
        title: "Find the tasks in a note",
        description: "What a note asks somebody to do, proposed as a checklist.",
        about: About::Note,
        text: "Find what the note asks somebody to do and what is not yet a line of a checklist. Compare with list_tasks for this note. \
               Then call propose_changes with one note.revise action that adds a line `- [ ] …` for each, where it belongs, and leaves \
               everything else as it is.",
    },
    Job {
        name: "link_related_notes",
        title: "Link related notes",
        description: "Links from a note to those that it has to do with.",
        about: About::Note,
        text: "Find the notes of the same workspace that this one has to do with: look for its terms with search_notes, and read the \
               candidates. Then call propose_changes with a note.link action for each that helps a reader, with a relation such as \
               relates_to, cites or blocks, and say why in the rationale. Do not link twice what is linked already.",
    },
    Job {
        name: "tidy_workspace",
        title: "Tidy a workspace",
        description: "Titles, tags and archived notes, proposed in one go.",
        about: About::Workspace,
        text: "Look through the notes of the workspace. Propose titles where they are missing or mislead, tags where those of similar notes \
               differ, and the archive for what is out of date. Put everything in one call of propose_changes, with a rationale that \
               names each note; change no body.",
    },
    Job {
        name: "weekly_review",
        title: "Review the week",
        description: "What was done, what is due, and what is stuck, proposed as a new note.",
        about: About::Workspace,
        text: "Review the workspace's last seven days: call list_tasks for what is done, open and overdue, and read the notes that it \
               belongs to. Then call propose_changes with one note.create action: a note with the sections Done, Next and Stuck, where \
               every line links its note as [[Title]].",
    },
];

impl About {
    const fn argument(self) -> &'static str {
        match self {
            Self::Note => "note_id",
            Self::Workspace => "workspace_id",
        }
    }

    const fn description(self) -> &'static str {
        match self {
            Self::Note => "Id of the note.",
            Self::Workspace => "Id of the workspace.",
        }
    }
}

pub fn all() -> Vec<Prompt> {
    let describe = |job: &Job| {
        let about = PromptArgument::new(job.about.argument())
            .with_description(job.about.description())
            .with_required(true);
        let focus = PromptArgument::new("focus")
            .with_description("What to look at above all, in your own words.")
            .with_required(false);
        let arguments = Some(vec![about, focus]);
        Prompt::new(job.name, Some(job.description), arguments).with_title(job.title)
    };
    JOBS.iter().map(describe).collect()
}

pub async fn get(
    context: &Context,
    params: GetPromptRequestParams,
) -> Result<GetPromptResult, ErrorData> {
    let Some(job) = JOBS.iter().find(|job| job.name == params.name) else {
        let unknown = "there is no such prompt; prompts/list names those there are";
        return Err(ErrorData::invalid_params(unknown, None));
    };
    let arguments = params.arguments.unwrap_or_default();
    let given = |name: &str| arguments.get(name).and_then(|value| value.as_str());
    let name = job.about.argument();
    let id = given(name).and_then(|id| Uuid::try_parse(id).ok());
    let id = id.ok_or_else(|| {
        ErrorData::invalid_params(format!("the argument {name} must be a UUID"), None)
    })?;
    let mut text = job.text.to_owned();
    if let Some(focus) = given("focus") {
        text = format!("{text}\nLook at this above all: {focus}");
    }
    let subject = match job.about {
        About::Note => note(context, id).await?,
        About::Workspace => workspace(context, id).await?,
    };
    let messages = vec![
        PromptMessage::new(Role::User, subject),
        PromptMessage::new_text(Role::User, text),
    ];
    Ok(GetPromptResult::new(messages).with_description(job.description))
}

async fn note(context: &Context, id: Uuid) -> Result<ContentBlock, ErrorData> {
    let found = context.app.find::<Notes>(&context.read(), id).await;
    let (note, _) = found.map_err(|problem| context.error(problem, resources::SCOPE))?;
    Ok(ContentBlock::resource(resources::contents(&note)))
}

/// Returns the notes of a workspace that the caller may see.
async fn workspace(context: &Context, id: Uuid) -> Result<ContentBlock, ErrorData> {
    let page = Page {
        cursor: None,
        limit: Some(LISTED),
    };
    let (status, workspace_id) = (Some("active"), Some(id));
    let wanted = Where::default()
        .and("t.workspace_id = ?", workspace_id)
        .and("t.status = ?", status);
    let read = context.read();
    let found = context.app.list::<Notes>(&read, wanted, page).await;
    let (notes, _) = found.map_err(|problem| context.error(problem, resources::SCOPE))?;
    let mut text = format!("The notes of the workspace {id}, newest first, {LISTED} at most:\n");
    for note in notes.items {
        let (id, version, content) = (note.metadata.id, note.metadata.version, note.content);
        let uri = resources::uri(id);
        let _ = writeln!(text, "- {uri} (version {version}): {}", content.title);
    }
    Ok(ContentBlock::text(text))
}
