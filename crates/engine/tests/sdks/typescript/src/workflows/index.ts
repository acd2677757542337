// The workflows of all scenarios. Their names are unique among them.

export * from './activities';
export * from './cancellation';
export * from './closing';
export * from './continue_as_new';
export * from './messages';
export * from './starts';
export * from './timers';
