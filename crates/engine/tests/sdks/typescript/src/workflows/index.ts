// The workflows of all scenarios. Their names are unique among them.

export * from './activities';
export * from './cancellation';
export * from './children';
export * from './closing';
export * from './continue_as_new';
export * from './cron';
export * from './messages';
export * from './schedules';
export * from './starts';
export * from './timers';
export * from './updates';
export * from './visibility';
export * from './workers';
