// Messages of the command line in the words of the page.

const WORDS = [
  [/Lengthen it with --fit/, "Switch on “Fit to length”"],
  [/or omit --fit for a part of this one/, "or switch off “Fit to length”"],
  [/keep it with --sound keep, lower or duck/, "choose what is kept of it under “Original sound”"],
  [/remove its sound with --sound drop/, "choose “Music only” to remove its sound"],
  [/Choose another part with --start/, "Move the moment"],
  [/describe what you want with --text/, "describe what you want in the field above"],
  [/--start\b/g, "the start"],
  [/--fit\b/g, "“Fit to length”"],
  [/--sound\b/g, "“Original sound”"],
  [/--text\b/g, "the text field"],
];

/** Name the controls of the page in place of options. */
export const wording = (message) => WORDS.reduce((text, [option, words]) => text.replace(option, words), message ?? "");
