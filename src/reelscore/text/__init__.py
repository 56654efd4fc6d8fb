"""The text of a video: title, description, subtitles, OCR and speech."""
