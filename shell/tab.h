/* tab.h - what a press of the Tab key comes to. Knows nothing of the editor: line.c takes the text
 * off the line and puts it there. */
#ifndef ZX_SHELL_TAB_H
#define ZX_SHELL_TAB_H

#include "shell/lookup.h"

typedef struct TabLine {
    const char *pending;        /* the lines before that this one continues */
    const char *before, *after; /* the cursor */
    unsigned width, height;     /* of the terminal */
} TabLine;

typedef enum TabAction { TAB_NOTHING, TAB_INSERT, TAB_BEEP, TAB_LIST } TabAction;

typedef struct TabAnswer {
    TabAction action;
    size_t remove; /* INSERT: bytes before the cursor that go */
    char *text;    /* INSERT: what comes in their place; LIST: lines to print */
} TabAnswer;

/* @last is what the press before left behind, of the caller's keeping (g_free): a second press on
 * the same text lists. */
TabAnswer tab_press(const TabLine *line, const Lookup *lookup, char **last);

#endif
