"""The style sheet of the whole window, with a @place@ for every colour and length. `theme.stylesheet` fills it.

Holds no colour and no size of its own. Looks are chosen by the dynamic properties `role`, `tone` and `card`.
"""

TEMPLATE = """
* { font-family: "@sans@"; font-size: @type_body@; }
QMainWindow, QDialog { background: @background@; color: @text@; }
QWidget { color: @text@; }
QToolTip { background: @raised@; color: @text@; border: 1px solid @border@; padding: @px4@; }

QLabel { background: transparent; }
QLabel[role="heading"] { color: @heading@; font-size: @type_small@; font-weight: 600; letter-spacing: 1px; }
QLabel[role="title"] { font-weight: 600; font-size: @type_title@; }
QLabel[role="big"] { font-weight: 600; font-size: @type_big@; }
QLabel[role="hero"] { font-weight: 600; font-size: @type_hero@; }
QLabel[role="strong"] { font-weight: 600; }
QLabel[role="dim"] { color: @dim@; }
QLabel[role="small"] { color: @dim@; font-size: @type_small@; }
QLabel[role="mono"] { font-family: "@mono@"; }
QLabel[role="mono-dim"] { font-family: "@mono@"; color: @dim@; }
QLabel[role="mono-small"] { font-family: "@mono@"; color: @dim@; font-size: @type_small@; }
QLabel[role="key"] { font-family: "@mono@"; font-size: @type_small@; color: @text@; background: @background@;
    border: 1px solid @line@; border-radius: @px4@; padding: @px1@ @px6@; }
QLabel[role="chip"] { font-size: @type_small@; color: @dim@; border: 1px solid @line@; border-radius: @px8@;
    padding: @px2@ @px8@; }
QLabel[tone="ok"] { color: @ok@; }
QLabel[tone="bad"] { color: @bad@; }
QLabel[tone="flag"] { color: @flag_text@; }
QLabel[tone="accent"] { color: @accent_text@; }
QLabel[tone="override"] { color: @override_text@; }
QLabel[tone="near_miss"] { color: @near_miss_text@; }
QLabel[tone="health"] { color: @health_text@; }
QLabel[role="chip"][tone="flag"] { border-color: @flag@; }
QLabel[role="chip"][tone="bad"] { border-color: @bad@; }
QLabel[role="chip"][tone="ok"] { border-color: @ok@; }
QLabel[role="chip"][tone="accent"] { border-color: @accent@; }

QFrame[card="true"] { background: @raised@; border: 1px solid @line@; border-radius: @px8@; }
QFrame[card="flag"] { background: @raised@; border: @px2@ solid @flag@; border-radius: @px8@; }
QFrame[card="bad"] { background: @raised@; border: @px2@ solid @bad@; border-radius: @px8@; }
QFrame[card="sheet"] { background: @panel@; border: 1px solid @border@; border-radius: @px10@; }
QFrame[card="plain"] { background: @panel@; border: none; }
QFrame[role="rule"] { background: @line@; border: none; max-height: 1px; min-height: 1px; }

QPushButton, QToolButton { background: @raised@; color: @text@; border: 1px solid @border@; border-radius: @px6@;
    padding: @px5@ @px12@; }
QToolButton { padding: @px5@ @px8@; }
QPushButton:hover, QToolButton:hover { background: @pressed@; }
QPushButton:pressed, QToolButton:pressed, QToolButton:checked, QPushButton:checked { background: @selection@;
    border-color: @accent@; }
QPushButton:focus, QToolButton:focus, QComboBox:focus, QAbstractSpinBox:focus, QLineEdit:focus, QPlainTextEdit:focus {
    border: @px2@ solid @accent@; }
QPushButton:focus { padding: @px4@ @px10@; }
QToolButton:focus { padding: @px4@ @px6@; }
QPushButton:disabled, QToolButton:disabled { color: @dim@; border-color: @line@; background: @panel@; }
QPushButton[role="primary"] { background: @accent@; color: @on_accent@; border-color: @accent@; font-weight: 600; }
QPushButton[role="primary"]:hover { background: @accent_text@; }
QPushButton[role="primary"]:focus { border: @px2@ solid @text@; }
QPushButton[role="primary"]:disabled { background: @panel@; color: @dim@; border-color: @line@; }
QPushButton[role="flat"], QToolButton[role="flat"] { background: transparent; border: 1px solid transparent;
    color: @accent_text@; padding: @px3@ @px6@; text-align: left; }
QPushButton[role="flat"]:hover, QToolButton[role="flat"]:hover { background: @pressed@; }
QPushButton[role="flat"]:focus, QToolButton[role="flat"]:focus { border: @px2@ solid @accent@; padding: @px2@ @px5@; }
QPushButton[role="flat"]:disabled { color: @dim@; }
QPushButton[role="row"] { background: @raised@; border: 1px solid @line@; text-align: left; padding: @px8@ @px12@; }
QPushButton[role="row"]:hover { border-color: @accent@; background: @pressed@; }
QPushButton[role="row"]:focus { border: @px2@ solid @accent@; padding: @px8@ @px10@; }
QPushButton[role="cell"] { background: transparent; border: 1px solid @line@; padding: @px2@ @px8@; text-align: left; }
QPushButton[role="cell"]:hover { border-color: @accent@; background: @pressed@; }
QPushButton[role="cell"]:checked { background: @selection@; border-color: @accent@; font-weight: 600; }
QPushButton[role="cell"]:focus { border: @px2@ solid @accent@; padding: @px1@ @px6@; }
QPushButton[role="cell"][tone="bad"] { color: @bad@; }
QPushButton[role="cell"][tone="flag"] { color: @flag_text@; }
QToolButton::menu-indicator, QPushButton::menu-indicator { image: none; width: 0px; }

QCheckBox, QRadioButton { spacing: @px8@; padding: @px3@ 0px; background: transparent; }
QCheckBox:disabled, QRadioButton:disabled { color: @dim@; }
QCheckBox::indicator, QRadioButton::indicator { width: @px14@; height: @px14@; border: 1px solid @border@;
    background: @panel@; }
QCheckBox::indicator { border-radius: @px3@; }
QRadioButton::indicator { border-radius: @radio_radius@; }
QCheckBox::indicator:checked, QRadioButton::indicator:checked { background: @accent@; border-color: @accent@;
    image: url("@icon_tick@"); }
QRadioButton::indicator:checked { image: url("@icon_dot@"); }
QCheckBox::indicator:disabled, QRadioButton::indicator:disabled { border-color: @faint@; }
QCheckBox::indicator:checked:disabled, QRadioButton::indicator:checked:disabled { background: @faint@; }
QCheckBox:focus, QRadioButton:focus { color: @accent_text@; }
QCheckBox::indicator:focus, QRadioButton::indicator:focus { border: @px2@ solid @accent_text@; }

QComboBox, QAbstractSpinBox, QLineEdit, QPlainTextEdit { background: @panel@; color: @text@; border: 1px solid @border@;
    border-radius: @px6@; padding: @px4@ @px8@; selection-background-color: @selection@; selection-color: @text@; }
QComboBox:disabled, QAbstractSpinBox:disabled, QLineEdit:disabled { color: @dim@; border-color: @line@; }
QComboBox::drop-down { border: none; width: @px20@; }
QComboBox::down-arrow { image: url("@icon_down@"); width: @px10@; height: @px10@; }
QComboBox QAbstractItemView { background: @raised@; color: @text@; border: 1px solid @border@;
    selection-background-color: @selection@; selection-color: @text@; outline: none; }
QAbstractSpinBox { padding: @px4@ 0px @px4@ @px2@; }
QAbstractSpinBox QLineEdit, QAbstractSpinBox QLineEdit:focus { border: none; background: transparent;
    padding: 0px @px4@; }
QAbstractSpinBox::up-button, QAbstractSpinBox::down-button { border: none; width: @px16@; background: transparent; }
QAbstractSpinBox::up-arrow { image: url("@icon_up@"); width: @px8@; height: @px8@; }
QAbstractSpinBox::down-arrow { image: url("@icon_down@"); width: @px8@; height: @px8@; }

QSlider { min-height: @px20@; background: transparent; }
QSlider::groove:horizontal { height: @px4@; background: @line@; border-radius: @px2@; }
QSlider::sub-page:horizontal { background: @accent@; border-radius: @px2@; }
QSlider::handle:horizontal { width: @px12@; height: @px12@; margin: -@px4@ 0; border-radius: @px6@; background: @text@; }
QSlider::handle:horizontal:focus { background: @accent_text@; border: @px2@ solid @text@; }
QSlider::sub-page:horizontal:disabled, QSlider::handle:horizontal:disabled { background: @faint@; }

QProgressBar { background: @panel@; border: 1px solid @line@; border-radius: @px4@; text-align: center; color: @text@;
    min-height: @px6@; }
QProgressBar::chunk { background: @accent@; border-radius: @px3@; }

QTableView, QListView, QTreeView { background: @panel@; color: @text@; border: 1px solid @line@; border-radius: @px6@;
    gridline-color: @line@; selection-background-color: @selection@; selection-color: @text@; outline: none;
    alternate-background-color: @raised@; }
QTableView:focus, QListView:focus, QTreeView:focus { border: @px2@ solid @accent@; }
QTableView[role="sheet"] QHeaderView::section { padding: @px4@ @px8@; }
QHeaderView { background: @panel@; }
QHeaderView::section { background: @panel@; color: @heading@; border: none; border-bottom: 1px solid @line@;
    padding: @px4@ @px6@; font-size: @type_small@; font-weight: 600; text-align: left; }
QTableCornerButton::section { background: @panel@; border: none; }

QScrollArea { background: transparent; border: none; }
QScrollBar:vertical { background: transparent; width: @px10@; margin: 0; }
QScrollBar:horizontal { background: transparent; height: @px10@; margin: 0; }
QScrollBar::handle { background: @border@; border-radius: @px4@; min-height: @px24@; min-width: @px24@; margin: @px2@; }
QScrollBar::add-line, QScrollBar::sub-line { width: 0; height: 0; }
QScrollBar::add-page, QScrollBar::sub-page { background: transparent; }

QMenuBar { background: @panel@; color: @text@; }
QMenuBar::item { padding: @px4@ @px10@; background: transparent; }
QMenuBar::item:selected { background: @pressed@; border-radius: @px4@; }
QMenu { background: @raised@; color: @text@; border: 1px solid @border@; padding: @px4@; }
QMenu::item { padding: @px5@ @px24@ @px5@ @px12@; border-radius: @px4@; }
QMenu::item:selected { background: @selection@; }
QMenu::item:disabled { color: @dim@; }
QMenu::separator { height: 1px; background: @line@; margin: @px4@ @px8@; }

QToolBar { background: @panel@; border: none; spacing: @px8@; padding: @px4@ @px8@; }
QStatusBar { background: @panel@; color: @dim@; border-top: 1px solid @line@; }
QStatusBar::item { border: none; }
QDockWidget { color: @heading@; font-size: @type_small@; font-weight: 600; titlebar-close-icon: none; }
QDockWidget::title { background: @panel@; padding: @px6@ @px10@; text-align: left; }
QDockWidget > QWidget { background: @panel@; }
QMainWindow::separator { background: @line@; width: @px2@; height: @px2@; }
QMainWindow::separator:hover { background: @accent@; }
QTabBar::tab { background: @panel@; color: @dim@; padding: @px6@ @px14@; border: none; }
QTabBar::tab:selected { color: @text@; border-bottom: @px2@ solid @accent@; }
QTabBar::tab:focus { color: @accent_text@; }
QSplitter::handle { background: @line@; }
"""
