"""Emacs' mode for recipes: `emacs/esp-mode.el`, one file that can be copied anywhere."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from esp3c.words import Words


def files(words: Words) -> dict[str, str]:
    """The file with its path below `grammar/`."""
    lists = {
        "declarations": ("Words that begin a declaration.", words.declarations),
        "well-known": ("Words that begin a config which is known by them.", words.well_known),
        "clauses": ("Words that begin a clause behind a stage.", words.clauses),
        "modifiers": ("Words before or behind a name.", words.modifiers),
        "constants": ("Values that are words.", words.constants),
        "units": ("Units of quantities.", words.units),
        "backends": ("Backends of a `parallel'.", words.backends),
        "stages": ("Stages that a system has.", words.stages),
        "types": ("Types of a sample's fields.", words.types),
        "blocks": ("Keys that may have a block behind them.", words.blocks),
        "keys": ("All other keys.", words.keys),
        "hydra-keys": ("Keys that are Hydra's.", words.hydra_keys),
    }
    written = "\n\n".join(_list(name, about, known) for name, (about, known) in lists.items())
    return {"emacs/esp-mode.el": _MODE.replace("<words>", written)}


def _list(name: str, about: str, known: Iterable[str]) -> str:
    lines = textwrap.wrap(
        " ".join(f'"{word}"' for word in sorted(known)), width=90, break_long_words=False, break_on_hyphens=False
    )
    inside = "\n    ".join(lines)
    return f'(defconst esp-mode-{name}\n  \'({inside})\n  "{about}")'


_MODE = r""";;; esp-mode.el --- Speech recipes of esp3c  -*- lexical-binding: t; -*-

;; Version: 0.1.0
;; Package-Requires: ((emacs "27.1"))
;; Keywords: languages

;;; Commentary:

;; Colours, indentation and commands for `.esp' recipes.  With Eglot, `M-x eglot' in a recipe starts the language server
;; `esp3c lsp': diagnostics (by Flymake), completion, documentation, definitions, renaming, formatting.
;;
;; Made by grammar/make_editors.py from the words of the language: changes are made there.

;;; Code:

(require 'compile)

(defvar eglot-server-programs)

(defgroup esp nil
  "Speech recipes."
  :group 'languages
  :prefix "esp-")

(defcustom esp-program '("esp3c")
  "The words that start esp3c."
  :type '(repeat string))

(defcustom esp-indent-offset 2
  "By how much what stands in a bracket is indented."
  :type 'natnum
  :safe #'natnump)

;;; The words of the language

<words>

;;; Text and comments

(defvar esp-mode-syntax-table
  (let ((table (make-syntax-table)))
    (modify-syntax-entry ?# "<" table)
    (modify-syntax-entry ?\n ">" table)
    (modify-syntax-entry ?\" "\"" table)
    (modify-syntax-entry ?\\ "\\" table)
    (modify-syntax-entry ?_ "_" table)
    (dolist (sign '(?. ?= ?, ?: ?? ?$ ?- ?' ?* ?+ ?/ ?< ?> ?& ?| ?%))
      (modify-syntax-entry sign "." table))
    table)
  "The syntax of characters in a recipe.")

(defun esp--mark-quotes ()
  "Make three quotes the end of a text of several lines, or its beginning."
  (let* ((begin (match-beginning 0))
         (state (save-excursion (syntax-ppss begin)))
         (inside (nth 3 state)))
    (cond
     ((nth 5 state) (goto-char (1+ begin)))
     ((eq inside t) (put-text-property (+ begin 2) (+ begin 3) 'syntax-table (string-to-syntax "|")))
     ((not (or inside (nth 4 state))) (put-text-property begin (1+ begin) 'syntax-table (string-to-syntax "|"))))))

(defconst esp--syntax-propertize
  (syntax-propertize-rules ("\"\"\"" (0 (ignore (esp--mark-quotes))))))

;;; Colours: what a word is follows from where it stands

(defun esp--state (position)
  "What the syntax of all before POSITION comes to; the cursor stays."
  (save-excursion
    (save-match-data (syntax-ppss position))))

(defun esp--behind (position)
  "The character behind POSITION, without white space and comments."
  (save-excursion
    (goto-char position)
    (forward-comment (buffer-size))
    (char-after)))

(defun esp--before (position)
  "Where what stands before POSITION ends, without white space and comments."
  (save-excursion
    (goto-char position)
    (forward-comment (- (buffer-size)))
    (point)))

(defun esp--word-before (position)
  "The word that ends just before POSITION, if there is one."
  (save-excursion
    (goto-char position)
    (let ((end (point)))
      (skip-syntax-backward "w_")
      (and (< (point) end) (buffer-substring-no-properties (point) end)))))

(defun esp--head (position)
  "Where the dotted path begins of which a part begins at POSITION."
  (save-excursion
    (goto-char position)
    (while (let ((dot (esp--before (point))))
             (when (eq (char-before dot) ?.)
               (goto-char (esp--before (1- dot)))
               (< (skip-syntax-backward "w_") 0))))
    (point)))

(defun esp--tail (position)
  "Where the dotted path ends of which a part ends at POSITION."
  (save-excursion
    (goto-char position)
    (while (and (looking-at "[ \t\n]*\\.[ \t\n]*\\(?:\\sw\\|\\s_\\)+"))
      (goto-char (match-end 0)))
    (point)))

(defun esp--known-key-face (word)
  "The face of a key by what the language knows of WORD."
  (cond
   ((member word esp-mode-blocks) 'font-lock-type-face)
   ((member word esp-mode-keys) 'font-lock-variable-name-face)
   ((member word esp-mode-hydra-keys) 'font-lock-builtin-face)))

(defun esp--opened-by (open word)
  "Whether WORD stands before the bracket at OPEN."
  (equal (esp--word-before (esp--before open)) word))

(defun esp--backend-call-p (open)
  "Whether settings of a backend stand in the bracket at OPEN."
  (let* ((end (esp--before open))
         (word (esp--word-before end)))
    (and (member word esp-mode-backends)
         (= 0 (car (esp--state open)))
         (esp--parallel-value-p (- end (length word))))))

(defun esp--parallel-value-p (position)
  "Whether the value at POSITION is that of a `parallel'."
  (let ((equals (esp--before position)))
    (and (eq (char-before equals) ?=)
         (save-excursion
           (goto-char (esp--before (1- equals)))
           (skip-syntax-backward "w_")
           (equal (esp--word-before (esp--before (point))) "parallel")))))

(defun esp--value-face (word head behind)
  "The face of WORD in a value: its path begins at HEAD, and BEHIND comes next."
  (cond
   ((member word esp-mode-constants) 'font-lock-constant-face)
   ((and (equal word "partial") (not (memq behind '(?, ?\) ?\] ?\})))) 'font-lock-keyword-face)
   ((not (eq behind ?\()) nil)
   ((and (member word esp-mode-backends) (esp--parallel-value-p head)) 'font-lock-type-face)
   (t 'font-lock-function-name-face)))

(defun esp--stage-face (word sign previous)
  "The face of WORD in `stages', behind SIGN and the word PREVIOUS."
  (cond
   ((or (memq sign '(?, ?.)) (member previous esp-mode-clauses))
    (and (equal previous "runs") 'font-lock-function-name-face))
   ((and previous (member word esp-mode-clauses)) 'font-lock-keyword-face)
   ((member word esp-mode-stages) 'font-lock-function-name-face)))

(defun esp--face ()
  "The face of the word that was just found."
  (save-match-data
    (let* ((word (match-string-no-properties 0))
           (begin (match-beginning 0))
           (behind (esp--behind (match-end 0)))
           (state (esp--state begin))
           (open (nth 1 state))
           (bracket (and open (char-after open)))
           (head (esp--head begin))
           (end (esp--before head))
           (sign (char-before end))
           (previous (esp--word-before end))
           (tail (esp--behind (esp--tail (match-end 0)))))
      (cond
       ((or (nth 3 state) (nth 4 state)) nil)
       ;; Behind `partial' in a value.
       ((and (equal previous "partial") (memq (char-before (esp--before (- end 7))) '(?= ?\( ?\[ ?,)))
        (esp--value-face word head tail))
       ((eq sign ?=) (esp--value-face word head tail))
       ((null open)
        (cond
         ((member previous (cons "extends" esp-mode-declarations)) 'font-lock-variable-name-face)
         ((and previous (equal word "extends")) 'font-lock-keyword-face)
         ((member word esp-mode-declarations) 'font-lock-keyword-face)
         ((and (member word esp-mode-well-known) (eq behind ?\{)) 'font-lock-keyword-face)))
       ((eq bracket ?\{)
        (cond
         ((and (= 1 (car state)) (esp--opened-by open "stages")) (esp--stage-face word sign previous))
         ((eq sign ?:) (and (member word esp-mode-types) 'font-lock-type-face))
         ((and (equal word "new") (not (memq behind '(?= ?\{ ?: ?? ?.)))) 'font-lock-keyword-face)
         (t (esp--known-key-face word))))
       ;; The dimensions of a field.
       ((and (eq bracket ?\[) (esp--word-before (esp--before open))) nil)
       ((and (eq bracket ?\() (eq behind ?=)) (and (esp--backend-call-p open) (esp--known-key-face word)))
       (t (esp--value-face word head tail))))))

(defun esp--in-text (regexp)
  "A matcher for REGEXP inside texts."
  (lambda (limit)
    (let (found)
      (while (and (not found) (re-search-forward regexp limit t))
        (setq found (nth 3 (esp--state (1- (match-end 0))))))
      found)))

(defvar esp-mode-font-lock-keywords
  `((,(concat "\\(?:-\\|\\_<\\)[0-9][0-9_]*\\(?:\\.[0-9][0-9_]*\\)?\\(?:[eE][+-]?[0-9]+\\)?" (regexp-opt esp-mode-units t) "?\\_>")
     . font-lock-constant-face)
    ("\\_<[[:alpha:]_]\\(?:\\sw\\|\\s_\\)*" 0 (esp--face))
    (,(esp--in-text "\\\\\\(?:[ntr\"\\\\]\\|u{[0-9a-fA-F]\\{1,6\\}}\\|$\\)\\|\\$\\${") 0 font-lock-builtin-face prepend)
    (,(esp--in-text "\\(?:[^$]\\|^\\)\\(\\${[^}\n]*}\\)") 1 font-lock-variable-name-face prepend)
    ("#+\\s-*\\(esp:\\s-*ignore\\[[^]\n]*\\]\\)" 1 font-lock-preprocessor-face prepend))
  "What is coloured in a recipe.")

;;; Indentation

(defun esp--line-indentation (position)
  "The indentation of the line of POSITION.
Where that begins inside a text, that of the line on which the text begins."
  (save-excursion
    (goto-char position)
    (beginning-of-line)
    (let (state)
      (while (nth 3 (setq state (syntax-ppss)))
        (goto-char (nth 8 state))
        (beginning-of-line)))
    (current-indentation)))

(defun esp--indentation ()
  "The indentation that this line is to have, or nil inside a text."
  (save-excursion
    (beginning-of-line)
    (let ((state (syntax-ppss)))
      (unless (nth 3 state)
        (let ((open (reverse (nth 9 state)))
              partner)
          (skip-chars-forward " \t")
          (while (and open (looking-at "[])}][ \t]*"))
            (setq partner (pop open))
            (goto-char (match-end 0)))
          (cond
           (partner (esp--line-indentation partner))
           (open (+ (esp--line-indentation (car open)) esp-indent-offset))
           (t 0)))))))

(defun esp-indent-line ()
  "Indent this line as `esp3c fmt' does."
  (let ((wanted (esp--indentation))
        (behind (- (point-max) (point))))
    (if (null wanted)
        'noindent
      (back-to-indentation)
      (indent-line-to wanted)
      ;; The cursor stays on its text.
      (when (> (- (point-max) behind) (point))
        (goto-char (- (point-max) behind))))))

;;; Commands

(add-to-list 'compilation-error-regexp-alist-alist
             '(esp3c "^\\(?:error\\|\\(warning\\)\\)\\[ESP[0-9]+\\]: .*\n *--> \\(.+\\):\\([0-9]+\\):\\([0-9]+\\)$" 2 3 4 (1)))
(add-to-list 'compilation-error-regexp-alist 'esp3c)

(defun esp--stages ()
  "The stages of this recipe."
  (save-excursion
    (goto-char (point-min))
    (let (found)
      (while (re-search-forward "\\_<stages[ \t\n]*{" nil t)
        (when (= 1 (car (esp--state (point))))
          (let ((end (save-excursion (or (ignore-errors (up-list) (point)) (point-max)))))
            (while (re-search-forward "\\_<[[:alpha:]_]\\(?:\\sw\\|\\s_\\)*" end t)
              (let* ((word (match-string-no-properties 0))
                     (before (esp--before (match-beginning 0)))
                     (state (esp--state (match-beginning 0)))
                     (previous (esp--word-before before)))
                (unless (or (nth 3 state) (nth 4 state) (> (car state) 1)
                            (memq (char-before before) '(?, ?.))
                            (member previous esp-mode-clauses)
                            (and previous (member word esp-mode-clauses)))
                  (push word found)))))))
      (nreverse found))))

(defun esp--compile (verb &optional stage)
  "Run esp3c with VERB on this recipe, for STAGE alone if there is one."
  (unless buffer-file-name
    (user-error "This recipe is not in a file yet: save it first"))
  (let ((default-directory (file-name-directory buffer-file-name)))
    (compile (mapconcat #'shell-quote-argument
                        `(,@esp-program ,verb ,(file-name-nondirectory buffer-file-name)
                          ,@(and stage (not (equal stage "")) (list "--stages" stage)))
                        " "))))

(defun esp--read-stage (verb)
  "Ask which stage to VERB."
  (completing-read (format "%s which stage (empty: all)? " verb) (esp--stages)))

(defun esp-check ()
  "Check this recipe."
  (interactive)
  (esp--compile "check"))

(defun esp-build ()
  "Write what is made of this recipe beside it."
  (interactive)
  (esp--compile "build"))

(defun esp-plan (stage)
  "Say what a run of STAGE, or of all stages, would do."
  (interactive (list (esp--read-stage "Plan")))
  (esp--compile "plan" stage))

(defun esp-run (stage)
  "Run STAGE, or all stages."
  (interactive (list (esp--read-stage "Run")))
  (esp--compile "run" stage))

(defvar esp-mode-map
  (let ((map (make-sparse-keymap)))
    (define-key map (kbd "C-c C-c") #'esp-check)
    (define-key map (kbd "C-c C-b") #'esp-build)
    (define-key map (kbd "C-c C-p") #'esp-plan)
    (define-key map (kbd "C-c C-r") #'esp-run)
    map)
  "The keys of `esp-mode'.")

;;;###autoload
(define-derived-mode esp-mode prog-mode "Recipe"
  "For speech recipes of esp3c."
  (setq-local comment-start "# ")
  (setq-local comment-start-skip "#+[ \t]*")
  (setq-local comment-end "")
  (setq-local indent-tabs-mode nil)
  (setq-local fill-column 120)
  (setq-local indent-line-function #'esp-indent-line)
  (setq-local electric-indent-chars (append '(?\} ?\) ?\]) electric-indent-chars))
  (setq-local parse-sexp-lookup-properties t)
  (setq-local syntax-propertize-function esp--syntax-propertize)
  (setq-local font-lock-defaults '(esp-mode-font-lock-keywords))
  (setq-local imenu-generic-expression
              `((nil ,(concat "^" (regexp-opt esp-mode-declarations 'symbols) "[ \t]+\\(\\(?:\\sw\\|\\s_\\)+\\)") 2)
                (nil ,(concat "^" (regexp-opt esp-mode-well-known 'symbols)) 1))))

;;;###autoload
(add-to-list 'auto-mode-alist '("\\.esp\\'" . esp-mode))

(with-eval-after-load 'eglot
  (add-to-list 'eglot-server-programs
               (cons 'esp-mode (lambda (&rest _) (append esp-program '("lsp"))))))

(provide 'esp-mode)

;;; esp-mode.el ends here
"""
