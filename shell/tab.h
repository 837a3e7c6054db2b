/* tab.h - what a press of the Tab key comes to. Knows nothing of the editor: line.c takes the text
 * off the line and puts it there. */
#ifndef ZX_SHELL_TAB_H
#define ZX_SHELL_TAB_H

#include "shell/shell.h"

typedef struct Tab Tab;
Tab *tab_new(Shell *shell);
void tab_free(Tab *tab);

typedef enum TabAction { TAB_NOTHING, TAB_INSERT, TAB_BEEP, TAB_LIST } TabAction;

typedef struct TabAnswer {
    TabAction action;
    size_t remove; /* INSERT: bytes before the cursor that go */
    char *text;    /* INSERT: what comes in their place; LIST: lines to print */
} TabAnswer;

/* @before is the line up to the cursor. */
TabAnswer tab_press(Tab *tab, const char *before);

#endif
