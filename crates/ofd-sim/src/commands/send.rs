//! `kkt-sim send`.

use std::fs;
use std::path::Path;

use anyhow::Context;
use serde::Serialize;

use super::resolve;
use crate::args::SendArgs;
use crate::send::{Answered, Message, Recognised, send};

/// One line of the JSON output.
#[derive(Serialize)]
struct Line<'a> {
    file: String,
    sent: Option<Sent>,
    answer: Option<&'a Answered>,
    error: Option<String>,
}

#[derive(Serialize)]
struct Sent {
    layer: Recognised,
    bytes: usize,
    fn_number: String,
    fd_number: Option<u32>,
    form: Option<u8>,
    zero_sign: bool,
}

pub(super) async fn run(args: &SendArgs) -> anyhow::Result<bool> {
    let to = resolve(&args.to).await?;
    let mut all_answered = true;
    for file in &args.files {
        let message = read(file);
        let outcome = match &message {
            Ok(message) => send(message, to, args.timeout_s).await.map_err(|error| error.to_string()),
            Err(error) => Err(format!("{error:#}")),
        };
        all_answered &= outcome.is_ok();
        let message = message.ok();
        if args.json {
            let line = Line {
                file: file.display().to_string(),
                sent: message.as_ref().map(sent),
                answer: outcome.as_ref().ok(),
                error: outcome.as_ref().err().cloned(),
            };
            println!("{}", serde_json::to_string(&line)?);
        } else {
            print_text(file, message.as_ref(), &outcome);
        }
    }
    Ok(all_answered)
}

fn read(file: &Path) -> anyhow::Result<Message> {
    let content = fs::read(file).context("cannot be read")?;
    Ok(Message::from_file(content)?)
}

fn sent(message: &Message) -> Sent {
    Sent {
        layer: message.recognised(),
        bytes: message.bytes().len(),
        fn_number: message.header().fn_number.to_string(),
        fd_number: message.fd_number().map(ffd::FdNumber::get),
        form: message.form(),
        zero_sign: message.has_zero_sign(),
    }
}

fn print_text(file: &Path, message: Option<&Message>, outcome: &Result<Answered, String>) {
    println!("{}", file.display());
    if let Some(message) = message {
        let Sent { layer: _, bytes, fn_number, fd_number, form, zero_sign } = sent(message);
        print!("  sent     {bytes} bytes from a {}, ФН {fn_number}", message.recognised());
        if let (Some(form), Some(fd_number)) = (form, fd_number) {
            print!(", form {form}, ФД {fd_number}");
        }
        println!("{}", if zero_sign { ", without its message sign (zeros)" } else { "" });
    }
    match outcome {
        Ok(answer) => print!("{answer}"),
        Err(error) => println!("  failed   {error}"),
    }
}
